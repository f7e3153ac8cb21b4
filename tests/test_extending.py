"""CONTRIBUTING.md's "To add a …": its lines, put into a copy of the package, work through the command line."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
TASK = {"task_id": "t", "prompt": "Write add(x, y).", "style": "assert", "entry_point": "add",
        "tests": [{"path": "test.py", "content": "assert add(1, 2) == 3\n"}]}  # fmt: skip
ADD = "```python\ndef add(x, y):\n    return x + y\n```"
KINDS = ("Benchmark", "Training method", "Client", "Rung of isolation", "Export format", "Feedback text")
WRONG = "```python\ndef add(x, y):\n    return x - y\n```"


def section(title: str) -> str:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return re.split(r"^### ", text.split(f"### {title}\n")[1], flags=re.MULTILINE)[0]


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with all that CONTRIBUTING.md shows: new files whole, one line each elsewhere."""
    copy = tmp_path_factory.mktemp("package")
    shutil.copytree(ROOT / "src", copy / "src", ignore=shutil.ignore_patterns("__pycache__"))
    added = 0
    for title in KINDS:
        told = section(title)
        for path, content in re.findall(r"New file `([^`]+)`:\n\n```python\n(.*?)```", told, re.DOTALL):
            assert not (copy / path).exists()
            (copy / path).write_text(content, encoding="utf-8")
        [(path, table, line)] = re.findall(
            r"One line in `([^`]+)`, in `(\w+)`:\n\n```python\n(.*?)```", told, re.DOTALL
        )
        assert line.count("\n") == 1
        before = (copy / path).read_text(encoding="utf-8")
        after, count = re.subn(rf"^({table}\b.*[\[({{])\n", lambda m, line=line: f"{m[0]}{line}", before, flags=re.M)
        assert count == 1, f"{path} has no table {table}"
        (copy / path).write_text(after, encoding="utf-8")
        added += 1
    assert added == len(KINDS)
    return copy


def iterpref(copy: Path, *words: str | Path) -> Any:
    """Run the copy's command line and read the JSON it ends with."""
    environment = {**os.environ, "PYTHONPATH": str(copy / "src"), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "iterpref", *map(str, words), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=copy)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.strip().splitlines()[-1])


@pytest.fixture
def run(extended: Path, tmp_path: Path) -> Path:
    (tmp_path / "tasks.jsonl").write_text(json.dumps(TASK) + "\n")
    assert iterpref(extended, "import", tmp_path / "tasks.jsonl", "--run", tmp_path / "run")["tasks"] == 1
    return tmp_path / "run"


def debugged(copy: Path, run: Path, text: str, *more: str, options: tuple[str, ...] = ()) -> Any:
    own = ["client.kind=constant", f"client.text={json.dumps(text)}", "sandbox.min_isolation=rlimits"]
    words = [word for setting in (*own, *more) for word in ("--set", setting)]
    return iterpref(copy, "debug", "--run", run, *words, *options)


def test_a_benchmark(extended: Path, tmp_path: Path) -> None:
    (tmp_path / "samples.jsonl").write_text(json.dumps({"task_id": "adding/1", "solution": "add = lambda x, y: x + y"}))
    options = ["--set", "evaluation.benchmark=adding", "--set", "sandbox.min_isolation=rlimits"]
    found = iterpref(extended, "evaluate", "--run", tmp_path / "run", "--samples", tmp_path / "samples.jsonl", *options)
    assert (found["benchmark"], found["tasks"], found["pass@1"]) == ("adding", 1, 1.0)


def test_a_client_is_asked_and_counted(extended: Path, run: Path) -> None:
    assert debugged(extended, run, ADD, "client.usd_per_call=0.5", "budget.max_budget_usd=1000")["passed"] == 1
    assert debugged(extended, run, ADD, options=("--estimate",))["tasks_left"] == 0
    assert iterpref(extended, "debug", "--run", run, "--estimate")["tasks_left"] == 1, "by the run's own client"


def test_a_rung(extended: Path, run: Path) -> None:
    assert debugged(extended, run, ADD, "sandbox.isolation=nice", "sandbox.min_isolation=nice")["passed"] == 1
    [line] = [
        json.loads(text)
        for text in (exported(extended, run, "trajectories", "t.jsonl")).read_text().splitlines()
    ]  # fmt: skip
    assert line["trajectory"]["attempts"][0]["execution"]["isolation"] == "nice"


def exported(copy: Path, run: Path, name: str, file: str) -> Path:
    target = run.parent / file
    iterpref(copy, "export", target, "--run", run, "--format", name)
    return target


def test_a_feedback_text(extended: Path, run: Path) -> None:
    short = ["debugging.feedback=count", "debugging.max_iterations=1"]
    assert debugged(extended, run, WRONG, *short)["passed"] == 0
    line = json.loads(exported(extended, run, "trajectories", "t.jsonl").read_text())
    assert line["trajectory"]["attempts"][0]["feedback"] == "1 tests did not pass."


def test_a_method_and_an_export_format(extended: Path, tmp_path: Path) -> None:
    pairs = [{"prompt": f"Write add{i}.", "chosen": ADD, "rejected": WRONG} for i in range(2)]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    run = tmp_path / "run"
    iterpref(extended, "import", tmp_path / "pairs.jsonl", "--run", run)
    assert iterpref(extended, "pair", "--run", run)["kept"] == 2
    rows = exported(extended, run, "texts", "out") / "train.jsonl"
    assert json.loads(rows.read_text().splitlines()[0]) == {"good": ADD, "bad": WRONG}
    settings = ["method=target_dpo_both", "max_steps=1", "save_strategy='no'", "bf16=false"]
    words = [word for setting in settings for word in ("--set", f"training.{setting}")]
    assert iterpref(extended, "train", "--run", run, *words)["method"] == "target_dpo_both"
