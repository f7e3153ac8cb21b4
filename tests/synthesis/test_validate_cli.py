import json
import os
import subprocess
import sys
from pathlib import Path

from iterpref.records import Attempt, Execution, Task, TestFile, Trajectory
from iterpref.store import Store
from iterpref.synthesis.validate_run import failing_programs

SIGN = "def f(x):\n    if x > 0:\n        return 1\n    elif x == 0:\n        return 0\n    return -1\n"


def task(name: str, content: str) -> Task:
    tests = (TestFile(path="t.py", content=content),)
    return Task(task_id=name, prompt="sign", tests=tests, style="assert", entry_point="f", reference=SIGN)


def test_references_are_measured_once(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        good = "assert f(5) == 1\nassert f(1) == 1\nassert f(0) == 0\nassert f(-1) == -1\nassert f(-5) == -1\n"
        store.put_tasks([task("good", good), task("weak", "assert f(5) == 1"), task("empty", "assert f")])
    line = [sys.executable, "-m", "iterpref", "validate", "--run", str(tmp_path), "--json"]
    for _ in range(2):
        done = subprocess.run(line, capture_output=True, text=True, env=os.environ, timeout=500, check=True)
        said = json.loads(done.stdout.strip().splitlines()[-1])
        assert (said["programs"], said["flaky"], said["stub_passes"]) == (3, 0, 1)
        assert said["mutation_score_below_0.8"] == 2
    stronger = tmp_path / "stronger.jsonl"
    stronger.write_text(task("weak", "assert f(0) == 7").model_dump_json() + "\n")
    line += ["--set", f"validation.stronger_tests={stronger}"]
    done = subprocess.run(line, capture_output=True, text=True, env=os.environ, timeout=500, check=True)
    assert json.loads(done.stdout.strip().splitlines()[-1])["fail_stronger_tests"] == 1
    with Store.open(tmp_path, write=False) as store:
        scores = {quality.task_id: quality.mutation_score for quality in store.qualities()}
    assert scores["good"] == 1.0
    assert scores["empty"] == 0.0


def test_failing_programs_of_solved_tasks_are_found_once(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        for name, status in (("solved", "passed"), ("unsolved", "unresolved")):
            store.put_tasks([task(name, "assert f(5) == 1")])
            programs = ["def f(x):\n    return 2", "def f(x):\n    return 2\n", "", SIGN]
            for i, program in enumerate(programs):
                passed = status == "passed" and i == 3
                outcome = Execution(verdict="passed" if passed else "failed", trust="oracle", isolation="zygote")
                attempt = Attempt(iteration=i, program=program, completion="", execution=outcome)
                store.put_execution(f"{name}{i}", outcome)
                store.put_attempt(name, name, attempt, f"{name}{i}")
            store.put_trajectory(Trajectory(trajectory_id=name, task_id=name, attempts=(), status=status))
        assert [(t.task_id, program) for t, program in failing_programs(store)] == [("solved", programs[0])]
