"""The page of the paper's tables: it has all of them, its commands run on the playground, its arms are the grids'."""

import re
from pathlib import Path

import pytest
from benchmarks.lab.checks import load_grid
from docs.outputs import TERMINAL, steps, typed

PAGE = Path(__file__).parents[2] / "docs" / "paper-tables.md"
TEXT = PAGE.read_text(encoding="utf-8")


def numbers(kind: str) -> set[int]:
    """Those of `Tables 1, 2 and 3` and the like."""
    found = re.findall(rf"{kind}s? ((?:\d+(?:, | and )?)+)", TEXT)
    return {int(number) for group in found for number in re.findall(r"\d+", group)}


def test_no_table_and_no_figure_is_missing() -> None:
    assert numbers("Table") == set(range(1, 22))
    assert numbers("Figure") == set(range(1, 9))


def test_its_grids_and_arms_exist() -> None:
    named = {grid for words in re.findall(r"benchmarks\.lab ([a-z ]+)`", TEXT) for grid in words.split()}
    assert named == {"methods", "ablations", "teachers", "sizes"}
    arms = set().union(*(load_grid(grid).arms for grid in named))
    assert {"target_rpo_sampling", "half", "quarter", "sft_half", "sft_quarter"} <= arms
    assert "`target_rpo_sampling`, `half`, `quarter`,\n`sft_half` and `sft_quarter`" in TEXT


@pytest.mark.slow
def test_its_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in TERMINAL.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    found = [command for step in steps(TEXT) for command in step.commands.splitlines()]
    assert len(found) > 25
    for command in found:
        printed = typed(command)
        assert "iterpref: " not in printed, f"{command}\n{printed}"
    trained = {folder.name for folder in Path("runs/paper/models").iterdir()}
    assert {"sft", "dpo", "beta_0.3", "prefix_suffix", "code_optimise", "negative_random"} <= trained
    assert Path("runs/paper/report.html").is_file()
