"""Curves over calls and tokens: of a real seed of twelve tasks, and of records whose comparison is known."""

from pathlib import Path
from typing import Any

import pytest
from benchmarks.lab import budget_curves, budget_tables
from benchmarks.lab.budget_curves import record_of
from benchmarks.lab.budget_tables import at_smaller_total, for_as_many_pairs, plots, tables, value_at
from benchmarks.lab.records import Records
from benchmarks.lab.run import data_key
from benchmarks.lab.seeds import SeedData, SeedPlan
from benchmarks.pages import NOT_RUN

from iterpref.playground.coder import coder_path

PLAN = SeedPlan("steps", 0, coder_path(), "weights", 3, 12, {"max_iterations": 2, "sampling": {"max_tokens": 96}})


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A work folder with a seed's data and the records that a grid leaves of it."""
    work = tmp_path_factory.mktemp("lab")
    data, records = SeedData(PLAN, work), Records(work)
    for way in ("debugging", "sampling"):
        made = data.make(way)
        records.put({"key": data_key(PLAN, way), "base": 0, "what": PLAN.what_of(way), "made": made})
    return work


def test_a_seeds_curves_are_those_of_its_trajectories(work: Path) -> None:
    records, data = Records(work), SeedData(PLAN, work)
    record = record_of(PLAN, records, work)
    assert record is not None and records.get(record["key"]) == record
    curves, debugged, drawn = record["curves"], data.made("debugging"), data.made("sampling")
    assert [solved / 12 for solved in curves["debugging"]["solved"]] == pytest.approx(debugged["passed"])
    assert [solved / 12 for solved in curves["draws"]["solved"]] == pytest.approx(drawn["passed"])
    assert curves["all draws"]["calls"] == [12, 24, 36]
    assert curves["debugging"]["calls"][-1] == debugged["calls"] >= curves["debugging"]["calls"][0] == 12
    assert curves["debugging"]["tokens"][-1] == debugged["prompt_tokens"] + debugged["completion_tokens"]
    assert curves["all draws"]["tokens"][-1] == drawn["prompt_tokens"] + drawn["completion_tokens"]
    unsolved = 12 - curves["draws"]["solved"][0]
    assert curves["draws"]["calls"][1] == 12 + unsolved, "who has passed draws no more"
    for way, arm in budget_curves.WAYS.items():
        name = "debugging" if way == "debugging" else "all draws"
        assert curves[name]["pairs"][-1] == len(data.pair_records(arm))
    left = record["unsolved"]["by debugging"]
    assert left["tasks"] == 12 - curves["debugging"]["solved"][-1] and left["solved"][0] == 0


def test_without_its_run_folder_a_record_is_enough(work: Path, tmp_path: Path) -> None:
    record = record_of(PLAN, Records(work), work)
    records = Records(tmp_path)
    assert record_of(PLAN, records, tmp_path) is None
    records.put(record or {})
    assert record_of(PLAN, records, tmp_path) == record


def test_curves_of_other_trajectories_are_made_again(work: Path) -> None:
    records = Records(work)
    record = record_of(PLAN, records, work)
    assert record is not None
    records.put(record | {"hashes": {"debugging": "other", "sampling": "other"}, "tasks": 99})
    assert record_of(PLAN, records, work) == record


@pytest.mark.parametrize(("x", "expected"), [(0, 0), (5, 2), (10, 4), (15, 4.5), (20, 5), (30, 5)])
def test_between_its_points_a_curve_is_straight(x: float, expected: float) -> None:
    assert value_at([10, 20], [4, 5], x) == pytest.approx(expected)


def test_a_curve_may_stand_still() -> None:
    assert value_at([0, 0, 4], [10, 20, 30], 0) == 10
    assert value_at([0, 0, 4], [10, 20, 30], 2) == pytest.approx(25)


def known(seed: int, ahead: int = 0) -> dict[str, Any]:
    """Ten tasks: debugging solves 8 with 20 calls and 400 tokens; draws solve 5 with 30 calls and 200 tokens."""
    return {
        "key": str(seed), "base": 0, "what": {"domain": "steps", "seed": seed}, "hashes": {}, "tasks": 10,
        "curves": {
            "debugging": {"calls": [10, 20], "tokens": [100, 400], "solved": [4, 8 + ahead], "pairs": [0, 4]},
            "draws": {"calls": [10, 30], "tokens": [100, 200], "solved": [4, 5]},
            "all draws": {"calls": [10, 20], "tokens": [100, 200], "pairs": [0, 8]},
        },
        "unsolved": {"by debugging": {"tasks": 2, "solved": [0, 1]}, "by draws": {"tasks": 5, "solved": [0, 4]}},
    }  # fmt: skip


def test_both_are_compared_where_the_cheaper_one_has_spent_all() -> None:
    assert at_smaller_total(known(1), "calls") == pytest.approx([0.8, 0.45])  # at 20 calls
    assert at_smaller_total(known(1), "tokens") == pytest.approx([0.4 + 0.4 / 3, 0.5])  # at 200 tokens
    assert for_as_many_pairs(known(1), "calls") == pytest.approx([20, 15])  # four pairs
    assert for_as_many_pairs(known(1), "tokens") == pytest.approx([400, 150])


def test_tables_and_plots_say_what_the_records_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = [known(1), known(2, ahead=1)]
    made = tables("small", records)
    assert "| steps | calls | 2 | 20 | 30 | 85.0 | 45.0 | +40.0 [" in made["small-curves-solved"]
    assert "| steps | calls | 2 | 4 | 8 | 20 | 15 |" in made["small-curves-pairs"]
    assert "| steps | by draws | 2 | 10 | debugging | 0.0 80.0 |" in made["small-curves-unsolved"]
    assert "(no interval)" in tables("small", records[:1])["small-curves-solved"]
    assert set(tables("small", []).values()) == {NOT_RUN} and plots("small", []) == {}
    drawn = plots("small", records)
    assert len(drawn) == 4 and all(chart.count("<polyline") == 2 for chart in drawn.values())

    page, plot = tmp_path / "results.md", "small-curves-solved-calls-steps"
    page.write_text(f"<!-- table small-curves-solved -->\nold\n<!-- end -->\n<!-- table {plot}-plot -->\n<!-- end -->")
    for name, value in (("PAGE", page), ("FIGURES", tmp_path), ("PUBLISHED", tmp_path / "data")):
        monkeypatch.setattr(budget_tables, name, value)
    budget_tables.publish("small", records)
    assert "+40.0 [" in page.read_text() and f"figures/lab-{plot}.svg" in page.read_text()
    assert (tmp_path / f"lab-{plot}.svg").is_file()
    assert Records(tmp_path / "elsewhere").take(tmp_path / "data") == 2
