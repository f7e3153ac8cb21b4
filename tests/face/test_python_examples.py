"""Each example runs as a user starts it, and says what it should; none has more than 40 lines."""

import json
import os
import runpy
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
RIGHT = "def double(x):\n    return 2 * x"
VERSIONS = [
    {
        "prompt": "Write double(x).",
        "tests": "assert double(2) == 4\nassert double(3) == 6",
        "programs": ["def double(x):\n    return x ** 2", "def double(x):\n    return x[0]", RIGHT],
    },
    {"prompt": "Write last(xs).", "tests": "assert last([1, 2]) == 2", "programs": ["def last(xs):\n    return xs[0]"]},
    {
        "prompt": "Write add(x, y).",
        "tests": "assert add(1, 2) == 3",
        "programs": ["def add(x, y):\n    z = x + y", "def add(x, y):\n    z = x + y\n    return z"],
    },
]


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def run(monkeypatch: pytest.MonkeyPatch, name: str, *words: object) -> dict[str, object]:
    monkeypatch.setattr(sys, "argv", [name, *map(str, words)])
    return runpy.run_path(str(EXAMPLES / name), run_name="__main__")


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_an_example_is_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 40


def test_own_failures_become_pairs_that_are_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = tmp_path / "pairs.jsonl"
    run(monkeypatch, "own_failures.py", write(tmp_path / "versions.jsonl", *VERSIONS), pairs)
    lines = [line.split("\t")[1:] for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        ["AssertionError", "kept"],
        ["TypeError", "kept"],
        ["AssertionError", "dropped: the fix only inserts lines"],
    ]
    assert [json.loads(line)["rejected"] for line in pairs.read_text().splitlines()] == [
        f"```python\n{program}\n```" for program in VERSIONS[0]["programs"][:2]
    ]
    trainer = run(monkeypatch, "train_focal.py", pairs, "playground", tmp_path / "out")["trainer"]
    assert (trainer.state.global_step, len(trainer.train_dataset), trainer.dropped) == (1, 2, {})  # type: ignore[attr-defined]
    assert (tmp_path / "out" / "model.safetensors").is_file()


def test_two_files_of_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tests = [{"path": "t.py", "content": "assert double(3) == 6"}]
    tasks = [{"task_id": f"t/{n}", "prompt": "Write double(x).", "style": "assert", "tests": tests} for n in range(4)]
    file = write(tmp_path / "tasks.jsonl", *tasks)
    wrong = "def double(x): return x"
    before, after = (
        write(tmp_path / f"{name}.jsonl", *({"task_id": f"t/{n}", "solution": p} for n, p in enumerate(programs)))
        for name, programs in {"before": [wrong] * 3 + [RIGHT], "after": [RIGHT] * 2 + [wrong] * 2}.items()
    )
    run(monkeypatch, "compare_samples.py", file, before, after)
    said = capsys.readouterr().out
    assert "before.jsonl: pass@1 25.0%" in said
    assert "difference +25.0%, 95 % interval [" in said
    assert "McNemar's p = 1 (exact; 2 tasks won, 1 lost)" in said
    assert "won: t/0 t/1\nlost: t/3\n" in said


def test_the_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Executed by a kernel of its own; the loss computed by hand is the trainer's, and the outputs shown are small."""
    nbclient = pytest.importorskip("nbclient", reason="needs nbclient, nbformat and ipykernel (the extra dev)")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel", reason="needs ipykernel (the extra dev)")
    file = EXAMPLES / "method.ipynb"
    assert file.stat().st_size < 20_000
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    notebook = nbformat.read(file, 4)
    shown = said_by(notebook)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    said = said_by(notebook)
    by_hand, by_step = said[5].split("\n")[0].split()[-1], said[5].split("by step: ")[1].split()
    assert by_hand == by_step[0]
    assert float(by_step[-1]) < 0.5 * float(by_step[0])
    assert said[2:5] == shown[2:5], "what the page shows is not what it says any more: run it again and store it"
    assert said[7].endswith("passed\n")


def said_by(notebook: object) -> list[str]:
    """What each code cell printed."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]  # type: ignore[attr-defined]
    return ["".join(part.text for part in cell.outputs if part.get("name") == "stdout") for cell in cells]
