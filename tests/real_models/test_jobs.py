"""Steps beside each other: none before those that it needs, and a failed one stops only what needs it."""

import sys
from pathlib import Path

import pytest
from benchmarks.real_models.__main__ import _only
from benchmarks.real_models.jobs import StepsFailed, run_in_processes
from benchmarks.real_models.plan import QUICK, Experiment
from benchmarks.real_models.steps import needed_by, steps

from iterpref.errors import ConfigError

# Notes its start and its end; fails where told, after a word on why.
STEP = """
import pathlib, sys
name, book = sys.argv[-1], pathlib.Path(sys.argv[1])
with book.open("a") as notes: notes.write(f"begin {name}\\n")
if name == sys.argv[2]: sys.exit("out of memory")
with book.open("a") as notes: notes.write(f"end {name}\\n")
"""


@pytest.fixture
def names(tmp_path: Path) -> list[str]:
    return list(steps(Experiment("playground", "larger", "mbpp.jsonl", tmp_path, QUICK)))


def run(tmp_path: Path, names: list[str], left: list[str], failing: str = "") -> list[str]:
    script, book = tmp_path / "step.py", tmp_path / "book"
    script.write_text(STEP)
    book.write_text("")
    try:
        run_in_processes(names, left, 3, [sys.executable, str(script), str(book), failing], tmp_path / "logs")
    finally:
        noted = book.read_text().splitlines()
    return noted


def test_a_step_begins_when_all_that_it_needs_have_ended(tmp_path, names):
    noted = run(tmp_path, names, names)
    assert sorted(noted) == sorted(f"{word} {name}" for name in names for word in ("begin", "end"))
    for name in names:
        for before in needed_by(name, names):
            assert noted.index(f"end {before}") < noted.index(f"begin {name}")
    assert needed_by("evaluate-dpo", names) == {"train-dpo-0.0001"}


def test_what_is_finished_is_not_run_again(tmp_path, names):
    left = names[names.index("pairs") :]
    assert {line.split()[1] for line in run(tmp_path, names, left)} == set(left)


def test_a_failed_step_stops_only_what_needs_it(tmp_path, names):
    with pytest.raises(StepsFailed) as error:
        run(tmp_path, names, names, failing="train-dpo-0.0001")
    assert "train-dpo-0.0001: out of memory" in str(error.value)
    assert "not run: evaluate-dpo;" in str(error.value)
    noted = (tmp_path / "book").read_text()
    assert "end evaluate-target_rpo" in noted and "begin evaluate-dpo" not in noted


def test_only_one_step_wants_those_before_it(names):
    assert _only("pairs", names, names[names.index("pairs") :]) == ["pairs"]
    assert _only("pairs", names, []) == []
    with pytest.raises(ConfigError, match="--only pairs: it reads what debugging, sampling found"):
        _only("pairs", names, names)
    with pytest.raises(ConfigError, match="--only trian: no such step; there are benchmarks, debugging"):
        _only("trian", names, names)


def test_every_step_comes_after_those_that_it_needs(names):
    for name in names:
        assert needed_by(name, names) <= set(names[: names.index(name)])
