"""Records of a grid, made up → tests, tables, plots and pages that say what the records say."""

import json
from pathlib import Path

import pytest
from benchmarks.lab import budget_tables, summary
from benchmarks.lab.charts import charts
from benchmarks.lab.checks import load_grid
from benchmarks.lab.output import PAGE, publish, write_results
from benchmarks.lab.plan import Plan
from benchmarks.lab.reasons import tables as reason_tables
from benchmarks.lab.reasons.figures import Measured
from benchmarks.lab.records import LETTERS, Records, kinds_of, packed
from benchmarks.lab.results import Results
from benchmarks.lab.run import _Stage
from benchmarks.lab.statistics import power
from benchmarks.lab.tables import decisions, tables
from benchmarks.lab.tuning import Setting
from benchmarks.lab.workers import Failure
from benchmarks.pages import NOT_RUN, filled

from iterpref.analysis.taxonomy import KINDS

stats = pytest.importorskip("scipy.stats")

GRID = """
name: made-up
says: A grid whose records are written by hand.
domains: {steps: {bases: [0, 1]}}
seeds: {first: 10, count: 4}
tuning: {seeds: {first: 0, count: 2}, rates: [1.0e-4, 1.0e-3], lengths: [1]}
tasks: {train: 5, held_out: 20, validation: 10}
arms:
  base: {trainer: base}
  sft: {training: {method: sft}}
  dpo: {training: {method: dpo}}
  control: {training: {method: dpo}, pairs: swapped, rates_of: dpo}
comparators: [sft]
families:
  one: [sft - dpo, dpo - control]
  two: [dpo - base]
"""
# By seed, of 20 held-out tasks; the bases, seeds in turn, have other levels.
PASSED = {"base": [4, 8, 4, 8], "sft": [14, 18, 15, 18], "dpo": [9, 12, 8, 13], "control": [8, 13, 9, 12]}
CURVE = {"step": [1, 2], "loss": [0.5, 0.4], "logps/chosen": [-2.0, -1.0], "rewards/margins": [0.0, 0.3]}


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """Bases of which only a name and a file are asked here."""
    for number in (1,):
        folder = tmp_path / "bases" / f"steps-{number}"
        folder.mkdir(parents=True)
        (folder / "model.safetensors").write_bytes(b"1")
    (tmp_path / "made-up.yaml").write_text(GRID)
    return Plan.of(load_grid(tmp_path / "made-up.yaml"), tmp_path / "bases")


def record(cell, passed: int) -> dict:
    kinds = [""] * passed + ["wrong output"] * (cell.tasks - passed - 1) + ["KeyError"]
    spent = {"programs": 12, "prompt_tokens": 3000, "completion_tokens": 1000}
    trained = {
        "pairs": 7, "tokens": 2000, "spent": spent, "curve": CURVE, "trajectories": {"debugging": f"h{cell.data.seed}"}
    }  # fmt: skip
    return cell.heading | (trained if cell.trains else {}) | {
        "outcomes": packed(kinds), "passed": passed / cell.tasks, "seconds": [1.0, 2.0]
    }  # fmt: skip


@pytest.fixture
def records(plan: Plan, tmp_path: Path) -> Records:
    """SFT does better at the high rate, DPO as well at both."""
    found = Records(tmp_path / "work")
    for cell in plan.tuning:
        found.put(record(cell, 8 if (cell.name, cell.rate) == ("sft", 1e-3) else 2))
    for cell in plan.held_out(plan.chosen({cell.key: found.get(cell.key) for cell in plan.tuning})):
        found.put(record(cell, PASSED[cell.name][cell.data.seed - 10]))
    return found


def rows(made: dict[str, str], name: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in made[f"made-up-{name}"].splitlines()]


def test_rates_are_chosen_per_arm_and_a_control_takes_those_of_its_arm(plan: Plan, records: Records) -> None:
    results = Results.of(plan, records)
    assert results.chosen == {("steps", "sft"): Setting(1e-3, 1.0), ("steps", "dpo"): Setting(1e-4, 1.0)}
    assert {cell.rate for cell in results.cells if cell.name == "control"} == {1e-4}
    assert {(cell.data.seed, cell.data.base) for cell in results.cells} == {(10, 0), (11, 1), (12, 0), (13, 1)}
    assert rows(tables(results), "rates")[2:] == [
        ["steps", "dpo", "20.0", "20.0", "0.0001 x 1", "100.0"],
        ["steps", "sft", "20.0", "80.0", "0.001 x 1", "100.0"],
    ]


def test_an_arm_with_lengths_of_its_own_names_them(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "made-up.yaml").write_text(
        GRID.replace("  control:", "  rl: {trainer: grpo, lengths: [24]}\n  control:")
    )
    plan = Plan.of(load_grid(tmp_path / "made-up.yaml"), tmp_path / "bases")
    found = Records(tmp_path / "rl")
    for cell in plan.tuning:
        found.put(record(cell, 8 if (cell.name, cell.rate) == ("rl", 1e-3) else 2))
    assert rows(tables(Results.of(plan, found)), "rates")[3] == [
        "steps", "rl", "20.0 (x 24)", "80.0 (x 24)", "0.001 x 24", "100.0"
    ]  # fmt: skip
    assert Results.of(plan, found).chosen["steps", "rl"] == Setting(1e-3, 24)


@pytest.mark.parametrize(("best", "says"), [(1e-4, ", the lowest tried"), (1e-3, ", the highest tried"), (3e-4, "")])
def test_a_choice_at_the_edge_of_the_rates_says_so_beside_the_results(
    best: float, says: str, plan: Plan, tmp_path: Path
) -> None:
    """As the plan promises, of the arm that was tuned and of its controls; no other rate is tried."""
    (tmp_path / "made-up.yaml").write_text(GRID.replace("[1.0e-4, 1.0e-3]", "[1.0e-4, 3.0e-4, 1.0e-3]"))
    plan = Plan.of(load_grid(tmp_path / "made-up.yaml"), tmp_path / "bases")
    found = Records(tmp_path / "edge")
    for cell in plan.tuning:
        found.put(record(cell, 8 if (cell.name, cell.rate) == ("dpo", best) else 2))
    made = tables(Results.of(plan, found))
    assert {row[1]: row[2] for row in rows(made, "results")[2:]} == {
        "base": "", "sft": "0.0001, the lowest tried", "dpo": f"{best:g}{says}", "control": f"{best:g}{says}"
    }  # fmt: skip
    assert rows(made, "rates")[2][-2] == f"{best:g} x 1{says}"


def test_tests_are_over_seeds_within_bases_with_holm_in_the_family(plan: Plan, records: Records) -> None:
    results = Results.of(plan, records)
    first, second, alone = results.tests
    # sft - dpo is 5, 7 tasks on base 0 and 6, 5 on base 1, of 20: means 6 and 5.5, squares 2 and 0.5, freedom 2
    assert first.found.mean == pytest.approx(5.75 / 20)
    error = (2.5 / 2 / 4) ** 0.5 / 20
    assert (first.found.error, first.found.freedom) == (pytest.approx(error), 2)
    p = 2 * stats.t.sf(5.75 / 20 / error, 2)
    assert first.found.p == pytest.approx(p)
    assert (first.adjusted, second.adjusted) == (pytest.approx(2 * p), 1.0)
    assert (first.decision, second.decision, alone.decision) == ("sft is better", "undecided", "dpo is better")
    assert alone.adjusted == alone.found.p  # a family of its own
    said = decisions(results)
    assert "sft - dpo is +28.7 [" in said[0] or "sft - dpo is +28.8 [" in said[0]
    assert "undecided (a difference below" in said[1]
    assert (first.strictest, alone.strictest) == (0.025, 0.05)  # families of two and of one
    error, found_from = (float(cell) for cell in rows(tables(results), "tests")[2][8:])
    assert error == pytest.approx(100 * first.found.error, abs=0.005)
    assert power(found_from / 100, first.found.error, 2, level=0.025) == pytest.approx(0.8, abs=0.01)


def test_tables_hold_what_the_records_say(plan: Plan, records: Records) -> None:
    made = tables(Results.of(plan, records))
    base, sft = rows(made, "results")[2:4]
    assert base[:5] == ["steps", "base", "", "", "4"] and base[5].startswith("30.0 [") and base[7:] == ["", "", "", ""]
    assert sft[:5] == ["steps", "sft", "0.001", "1", "4"] and sft[6:] == ["–", "7", "2", "12", "4"]
    assert base[6].startswith("-51.2 [") or base[6].startswith("-51.3 [")
    assert ["steps", "KeyError", "50.0", "50.0", "50.0", "50.0"] in rows(made, "kinds")
    assert rows(made, "power")[2][5:6] != ["0"] and len(rows(made, "power")) == 5
    assert made["made-up-missing"] == "Every cell is finished."
    assert made["made-up-rounds"] == "No arm goes in rounds."


def test_rounds_tell_their_gains(plan: Plan, records: Records) -> None:
    for cell in plan.held_out(Results.of(plan, records).chosen):
        if cell.name == "control":
            first, second = ({"spent": {"programs": n}, "pairs": 9, "before": b, "after": a, "gain": a - b}
                             for n, b, a in ((50, 0.2, 0.5), (100, 0.5, 0.4 + cell.data.base / 10)))  # fmt: skip
            records.put(records.get(cell.key) | {"parts": [first, {"trainer": "grpo"}, second]})
    assert rows(tables(Results.of(plan, records)), "rounds")[2:] == [
        ["steps", "control", "1", "4", "50", "9", "20.0", "50.0", "+30.0", "+60.0"],
        ["steps", "control", "2", "4", "100", "9", "50.0", "45.0", "-5.0", "-5.0"],
    ]


def test_a_family_with_a_missing_cell_is_not_tested(plan: Plan, records: Records) -> None:
    cell = next(c for c in Results.of(plan, records).cells if (c.name, c.data.seed) == ("control", 12))
    records.put(cell.heading | {"error": "the disk | is full\nin detail"})
    results = Results.of(plan, records)
    assert [test.family for test in results.tests] == ["two"]
    assert rows(tables(results), "results")[5][4:] == ["3", "55.0 (no interval)", "–", "7", "2", "12", "4"]
    assert rows(tables(results), "missing")[2][0] == "steps-0 seed 12 control 0.0001 x 1"
    assert "the disk \\| is full |" in tables(results)["made-up-missing"]


def test_arms_trained_on_other_trajectories_are_not_compared(plan: Plan, records: Records) -> None:
    """As when published records meet some of another machine."""
    cell = next(c for c in Results.of(plan, records).cells if (c.name, c.data.seed) == ("dpo", 11))
    records.put(record(cell, 12) | {"trajectories": {"debugging": "other"}})
    results = Results.of(plan, records)
    assert results.tests == []
    assert ("steps-1 seed 11 dpo 0.0001 x 1", "was trained on other trajectories than other arms of its seed") in (
        results.missing
    )


def test_cells_trained_on_other_trajectories_are_run_again(plan: Plan, records: Records, tmp_path: Path) -> None:
    """When a seed's data is made, on a machine that rounds otherwise, to go on from published records."""
    cells = [cell for cell in Results.of(plan, records).cells if cell.data.seed == 11]
    missing = next(cell for cell in cells if cell.name == "dpo")
    (records.folder / f"{missing.key}.json").unlink()
    told: list[str] = []
    stage = _Stage(records, tmp_path, told.append)
    made = {"debugging": {"hash": "h11"}}
    assert [job.cell.name for job in stage._after(cells, made)] == ["dpo"] and not told
    made = {"debugging": {"hash": "made here"}}
    assert [job.cell.name for job in stage._after(cells, made)] == ["sft", "control", "dpo"]  # not the base
    assert "steps-1 seed 11: made anew" in told[0] and "2 finished cells are run again" in told[0]


def test_a_finished_seed_with_other_trajectories_has_its_data_made(
    plan: Plan, records: Records, tmp_path: Path
) -> None:
    """Else nothing would be run and nothing compared, for ever; here no data can be made, and it says so."""
    cells = Results.of(plan, records).cells
    other = next(cell for cell in cells if (cell.name, cell.data.seed) == ("dpo", 11))
    records.put(record(other, 12) | {"trajectories": {"debugging": "other"}})
    told: list[str] = []
    _Stage(records, tmp_path, told.append).run(cells, processes=1)
    assert [line.partition(":")[0] for line in told] == ["steps-1 seed 11"] and "no data" in told[0]


def test_without_data_only_the_base_is_scored(plan: Plan, records: Records, tmp_path: Path) -> None:
    cells = [cell for cell in Results.of(plan, records).cells if cell.data.seed == 11]
    for cell in cells:
        (records.folder / f"{cell.key}.json").unlink()
    jobs = _Stage(records, tmp_path, lambda said: None)._after(cells, Failure("no such base", "the details"))
    assert [job.cell.name for job in jobs] == ["base"]
    failed = {why for says, why in Results.of(plan, records).missing if "seed 11" in says and " base" not in says}
    assert failed == {"the data of steps-1 seed 11 could not be made: no such base"}
    assert len(list((tmp_path / "errors").iterdir())) == 3


def test_nothing_is_made_up(plan: Plan, tmp_path: Path) -> None:
    results = Results.of(plan, Records(tmp_path / "empty"))
    made = tables(results)
    assert {made[f"made-up-{name}"] for name in ("tests", "rates", "power", "kinds", "debugging")} == {NOT_RUN}
    assert all(row[4:] == ["0", "–", "–", "", "", "", ""] for row in rows(made, "results")[2:])
    assert ("steps sft", "not run: its rate is not chosen, for cells above are missing") in results.missing
    assert charts(results) == {}


def test_plots_and_the_page(plan: Plan, records: Records, tmp_path: Path) -> None:
    drawn = charts(Results.of(plan, records))
    assert sorted(drawn) == ["logps-chosen-steps", "rewards-margins-steps", "scores-steps", "tests-steps"]
    assert drawn["scores-steps"].count("<circle") == 4 and drawn["logps-chosen-steps"].count("<polyline") == 3
    page = write_results(Results.of(plan, records), tmp_path / "work").read_text()
    assert page.count("<svg") == 4 and "sft is better" in page and "<td" in page
    assert "<script" not in page and "https://" not in page.replace('xmlns="http', "")
    assert (tmp_path / "work" / "made-up" / "tables.md").read_text().startswith("## made-up-results")


def test_published_records_are_taken_where_there_are_none(
    plan: Plan, records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "results.md"
    page.write_text(
        "a <!-- table made-up-tests -->\n\nold\n\n<!-- end --> <!-- table other -->\nas it was\n<!-- end -->"
        " <!-- table made-up-scores-steps-plot -->\n<!-- end -->"
    )
    for name, value in (("PAGE", page), ("FIGURES", tmp_path), ("PUBLISHED", tmp_path / "data")):
        monkeypatch.setattr(f"benchmarks.lab.output.{name}", value)
    results = Results.of(plan, records)
    publish(results)
    assert "sft − dpo" in page.read_text() and "as it was" in page.read_text() and "old" not in page.read_text()
    assert [file.name for file in tmp_path.glob("*.svg")] == ["lab-made-up-scores-steps.svg"], "what the page shows"
    other = Records(tmp_path / "elsewhere")
    failed = results.cells[0]
    other.put(failed.heading | {"error": "no memory"})
    assert other.take(tmp_path / "data") == len(results.records)
    assert Results.of(plan, other).tests == results.tests
    assert other.take(tmp_path / "data") == 0


def test_every_kind_of_failure_has_its_letter() -> None:
    kinds = ["", *KINDS]
    assert kinds_of({"outcomes": packed(kinds)}) == kinds
    assert len(set(LETTERS.values())) == len(LETTERS) and all(len(letter) == 1 for letter in LETTERS.values())


def test_the_page_has_marks_for_tables_that_exist(plan: Plan, records: Records, tmp_path: Path) -> None:
    text = PAGE.read_text(encoding="utf-8")
    known = {name.removeprefix("made-up-") for name in tables(Results.of(plan, records))}
    known |= {f"{name}-plot" for name in charts(Results.of(plan, records))}
    known |= {name.removeprefix("x-") for name in budget_tables.tables("x", [])}
    known |= {f"curves-{what}-{b}-steps-plot" for what in ("solved", "pairs") for b in budget_tables.BUDGETS}
    nothing = Measured(Results.of(plan, Records(tmp_path)), "base")
    known |= {name.removeprefix("made-up-") for name in reason_tables.tables(nothing)}
    known |= {f"{name}-steps-plot" for name in ("pass-at-k", "likelihoods")}
    known |= {name.partition("-")[2] for name in summary.TABLES}
    marks = [line.split()[2] for line in text.splitlines() if line.startswith("<!-- table ")]
    for mark in marks:
        assert mark.partition("-")[2].replace("-objects-plot", "-steps-plot") in known, mark
    assert filled(text, {}) == text and len(marks) == text.count("<!-- end -->") > 10


def test_records_say_what_they_are_of(records: Records) -> None:
    found = next(iter(records.all()))
    assert found["what"]["domain"] == "steps" and len(json.dumps(found)) < 4000


def test_a_grid_that_says_its_rates_chooses_none(tmp_path: Path) -> None:
    results = Results.of(Plan.of(load_grid("quick"), tmp_path), Records(tmp_path))
    assert tables(results)["quick-rates"] == "None is chosen: the grid says them."
