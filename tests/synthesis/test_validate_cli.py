import json
import os
import subprocess
import sys
from pathlib import Path

from iterpref.records import Task, TestFile
from iterpref.store import Store

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
        done = subprocess.run(line, capture_output=True, text=True, env=os.environ, timeout=120, check=True)
        said = json.loads(done.stdout.strip().splitlines()[-1])
        assert (said["programs"], said["flaky"], said["stub_passes"]) == (3, 0, 1)
        assert said["mutation_score_below_0.8"] == 2
    with Store.open(tmp_path, write=False) as store:
        scores = {quality.task_id: quality.mutation_score for quality in store.qualities()}
    assert scores["good"] == 1.0
    assert scores["empty"] == 0.0
