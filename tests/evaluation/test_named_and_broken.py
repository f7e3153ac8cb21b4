"""Own tasks as a benchmark: bad ones are named by the command, and prompts are those of `iterpref import`."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from iterpref.evaluation import load_benchmark

WriteRows = Callable[..., Path]
GOOD = {"task_id": "good", "prompt": "Twice a number.", "style": "assert",
        "tests": [{"path": "test.py", "content": "assert double(2) == 4\nassert double(3) == 6"}]}  # fmt: skip
DOUBLE = "def double(x):\n    return 2 * x\n"


def test_stumble_6_evaluate_names_broken_tasks_with_their_causes(tmp_path: Path, write_rows: WriteRows) -> None:
    wrong = GOOD | {"task_id": "wrong", "reference": "def double(x):\n    return x\n"}
    path = write_rows(GOOD | {"reference": DOUBLE}, wrong)
    samples = [{"task_id": name, "solution": DOUBLE} for name in ("good", "wrong")]
    answers = tmp_path / "samples.jsonl"
    answers.write_text("".join(json.dumps(sample) + "\n" for sample in samples))
    command = [sys.executable, "-m", "iterpref", "evaluate", "--run", str(tmp_path / "r"), "--samples", str(answers)]
    settings = [f"evaluation.benchmark={path}", "evaluation.split=null", "sandbox.workers=1"]
    command += [part for setting in settings for part in ("--set", setting)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    assert "broken: 1" in result.stdout
    assert "task wrong, cause failed: double(2) returned 2, expected 4" in result.stdout


def test_stumble_7_own_tasks_are_evaluated_with_the_functions_name(write_rows: WriteRows) -> None:
    [task] = load_benchmark(str(write_rows(GOOD))).tasks
    assert task.entry_point == "double"
    assert str(task.prompt).startswith("Twice a number.\n\nThe program must define `double`.")
