"""`validate`, then `pair`, through the command line: what is kept, what is in question, and what was not measured."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from iterpref import pipeline
from iterpref.config import Config, ValidationConfig
from iterpref.opened_run import OpenedRun
from iterpref.records import Limits, Task
from iterpref.store import Store

Write = Callable[..., Path]
TIMES = {"double": 2, "triple": 3, "quadruple": 4}


def iterpref(*arguments: object) -> str:
    line = [sys.executable, "-m", "iterpref", *map(str, arguments)]
    done = subprocess.run(line, capture_output=True, text=True, env=os.environ, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def said(*arguments: object) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads(iterpref(*arguments, "--json").strip().splitlines()[-1])
    return summary


def row(name: str, style: str, content: str, **values: object) -> dict[str, Any]:
    tests = [{"path": "test_f.py" if style == "unittest" else "cases.jsonl", "content": content}]
    return {"task_id": name, "prompt": f"Write {name}.", "style": style, "tests": tests, **values}


def script(times: int) -> str:
    return f"number = int(input())\nif number < 0:\n    print(0)\nelse:\n    print(number * {times})\n"


@pytest.fixture
def scripts(tmp_path: Path, write_rows: Write) -> Path:
    """A run of three scripts, each drawn twice from a recording: wrong, then right."""
    tasks, calls = [], []
    for name, times in TIMES.items():
        cases = [{"stdin": f"{n}\n", "stdout": f"{max(0, n * times)}\n"} for n in (3, 0, -2)]
        tasks.append(row(name, "stdio", "".join(json.dumps(case) + "\n" for case in cases)))
        drawn = [f"```python\n{script(wrong)}```" for wrong in (times + 1, times)]
        calls.append({"messages": [{"role": "user", "content": f"Write {name}."}], "completions": drawn})
    run = tmp_path / "run"
    iterpref("import", write_rows(*tasks, name="tasks.jsonl"), "--run", run)
    config = write_rows("client: {kind: replay, model: CALLS}".replace("CALLS", str(write_rows(*calls))),
                        "debugging: {mode: sampling, max_iterations: 1}", "pairing: {source: sampling}",
                        "validation: {repeats: 2, mutants: 10}", name="config.yaml")  # fmt: skip
    assert said("debug", "--run", run, "-c", config)["passed"] == 3
    return run


def test_stumble_3_pairs_of_scripts_outlive_their_validation(scripts: Path) -> None:
    config = scripts.parent / "config.yaml"
    found = said("validate", "--run", scripts, "-c", config)
    assert (found["programs"], found["flaky"], found["stub_passes"]) == (3, 0, 0)
    assert (found["mean_branch_coverage"], found["failing_programs"]) == (1.0, 3)
    strict = ["--set", "pairing.min_branch_coverage=1.0", "--set", "pairing.min_mutation_score=0.5"]
    assert said("pair", "--run", scripts, "-c", config, *strict)["kept"] == 3


ASSERTS = "assert f(1) == 1\nassert f(2) == 4\n"
BARE = "import unittest\nclass T(unittest.TestCase):\n    def test_a(self):\n        self.assertEqual(f(1), 1)\n"
SEED = "import sys\ndef f(x):\n    return sys.flags.hash_randomization\n"  # 0 with hash seed 0, 1 with all others


def test_stumble_6_references_that_never_pass_are_named_with_the_cause(tmp_path: Path) -> None:
    rows = [
        row("square", "assert", ASSERTS, reference="def f(x):\n    return x * x\n"),
        row("wrong", "assert", ASSERTS, reference="def f(x):\n    return x + 1\n"),
        row("broken", "assert", ASSERTS, reference="def f(x:\n"),
        row("bare", "unittest", BARE, reference="def f(x):\n    return x\n"),
        row("seeds", "calls", '{"args": "(1,)", "expected": "0"}\n', reference=SEED, entry_point="f"),
    ]
    with Store.open(tmp_path) as store:
        store.put_tasks(map(Task.model_validate, rows))
    found = iterpref("validate", "--run", tmp_path, "--set", "validation.mutants=5")
    assert "programs: 5" in found
    assert "flaky: 1" in found
    with Store.open(tmp_path, write=False) as store:
        scores = {quality.task_id: quality.mutation_score for quality in store.qualities()}
    assert scores == dict.fromkeys(scores, None) | {"square": 1.0}
    assert "never_pass: 3" in found
    for name, problem in {
        "wrong": "the program never passes (failed: f(1) returned 2, expected 1)",
        "broken": "the program never passes (error: SyntaxError: '(' was never closed (line 1))",
        "bare": "the program never passes (error: NameError: name 'f' is not defined)",
        "seeds": "the program passed 1 of 3 times (failed: f(1) returned 1, expected 0)",
    }.items():
        assert f"task {name}, problem {problem}\n" in found


def test_stumble_6_the_run_s_own_limits_hold_in_validate(tmp_path: Path) -> None:
    slow = "import time\ndef f(x):\n    time.sleep(1.3)\n    return x\n"
    content, limits = '{"args": "(1,)", "expected": "1"}\n', {"wall_s": 0.1}
    config = Config(limits=Limits(wall_s=30), validation=ValidationConfig(repeats=1, mutants=0))
    with Store.open(tmp_path) as store:
        store.put_tasks(
            [Task.model_validate(row("s", "calls", content, reference=slow, entry_point="f", limits=limits))]
        )
        assert pipeline.validate(OpenedRun(store, config))["flaky"] == 0
        [quality] = store.qualities()
    assert (quality.repeats, quality.repeats_passed) == (1, 1)
