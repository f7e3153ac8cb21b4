"""Measured arms: figures, contrasts, verdicts and tables of records written by hand."""

from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import yaml
from benchmarks.lab.cells import tasks_of
from benchmarks.lab.checks import load_grid
from benchmarks.lab.output import PAGE
from benchmarks.lab.plan import Plan
from benchmarks.lab.reasons import tables
from benchmarks.lab.reasons.__main__ import _forget_others, _seeds
from benchmarks.lab.reasons.charts import plots
from benchmarks.lab.reasons.figures import FIGURES, Measured, terms_of
from benchmarks.lab.reasons.measured import MeasuredPlan, check_reasons
from benchmarks.lab.reasons.rule import GAPS, REASONS, outcome, verdict
from benchmarks.lab.reasons.traits import kind_of, traits_of
from benchmarks.lab.records import Records, finished, packed
from benchmarks.lab.results import Results
from benchmarks.lab.run import data_key
from benchmarks.lab.statistics import estimate
from benchmarks.pages import NOT_RUN

from iterpref.errors import ConfigError
from iterpref.playground.puzzles import distinct_puzzles
from iterpref.playground.tasks import PLAYGROUND

GRID: dict[str, Any] = {
    "name": "small",
    "domains": {"steps": {"bases": [0]}},
    "seeds": {"first": 5, "count": 2},
    "rate": 3e-4,
    "length": 1,
    "tasks": {"train": 24, "held_out": 8},
    "debugging": {"max_iterations": 2, "sampling": {"temperature": 1.2, "max_tokens": 96}},
    "training": {"warmup_steps": 0, "per_device_train_batch_size": 8},
    "arms": {
        "base": {"trainer": "base"},
        "sft": {"training": {"method": "sft"}},
        "target_rpo": {"training": {"method": "target_rpo"}},
    },
}
STEPS, KINDS = "22334444", "hhmmooorr"[:8]
#                  h    m    o     r
BASE = ["",  "",  "w", "w", "", "w", "w", ""]  # fmt: skip
SFT = [["", "", "", "w", "", "", "w", "w"], ["", "", "", "", "", "", "w", "w"]]
TARGET_RPO = [["", "w", "", "w", "", "w", "w", ""], ["", "w", "", "w", "", "w", "", ""]]
RATE, SPILLING = REASONS[:2]


def made_grid(folder: Path, **changes: Any) -> Path:
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in {**GRID, **changes}.items() if value is not None}))
    return path


def of_pairs(added: float, removed: float) -> dict[str, Any]:
    changes = {"chosen": added + 1.0, "added": added, "rejected": removed + 1.0, "removed": removed}
    margins = {name: {"mean": 1.0 - removed, "positive": 1.0} for name in ("margin", "focal_margin")}
    return {name: {"change": change} for name, change in changes.items()} | margins


def record(cell: Any, outcomes: list[str], added: float) -> dict[str, Any]:
    shares = {str(k): min(1.0, 0.4 + 0.1 * k) for k in (1, 2, 4, 8, 16)}
    pairs = {"seen": of_pairs(2 * added, -3.0), "unseen": of_pairs(added, -2.0), "unseen_hash": "u"}
    return cell.heading | (pairs if cell.trains else {}) | {
        "outcomes": packed(kind and "wrong output" for kind in outcomes), "passed": outcomes.count("") / 8,
        "traits": {"steps": STEPS, "kind": KINDS}, "seconds": [1.0, 2.0], "trajectories": {"debugging": "t"},
        "answers": {"pass_at_k": shares, "entropy": 0.1, "distinct": 4.0, "distinct_passing": 2.0},
    }  # fmt: skip


@pytest.fixture
def measured(tmp_path: Path) -> Measured:
    """SFT wins what the base fails and loses nothing but a rare reading; Target-RPO loses and wins one each."""
    plan, records = MeasuredPlan.of(load_grid(made_grid(tmp_path)), tmp_path), Records(tmp_path / "work")
    for cell in plan.held_out({}):
        place = cell.data.seed - 5
        outcomes = {"base": BASE, "sft": SFT[place], "target_rpo": TARGET_RPO[place]}[cell.name]
        records.put(record(cell, outcomes, added=1.0 + place if cell.name == "sft" else 0.5))
    return Measured(Results.of(plan, records), "base")


def test_what_was_lost_and_won_leaves_rare_readings_out(measured: Measured) -> None:
    found = {name: [measured.mean("steps", arm, name) for arm in ("base", "sft", "target_rpo")]
             for name in ("passed", "lost", "lost_rare", "won")}  # fmt: skip
    assert found["passed"] == [4 / 8, (5 + 6) / 16, (4 + 5) / 16]
    assert found["lost"] == [0, 0, pytest.approx(1 / 3)]  # the base solves two of kind h, and one of kind o
    assert found["lost_rare"] == [0, 1, 0]
    assert found["won"] == [0, pytest.approx((2 / 4 + 3 / 4) / 2), pytest.approx((1 / 4 + 2 / 4) / 2)]
    assert measured.mean("steps", "sft", "mistake") == 0.75 and measured.mean("steps", "sft", "2_steps") == 1
    assert measured.mean("steps", "sft", "open_less_mistake") == (2 / 4 - 1 / 2 + 2 / 4 - 2 / 2) / 2


def test_likelihoods_are_those_of_trained_models_alone(measured: Measured) -> None:
    assert measured.mean("steps", "sft", "unseen_added") == 1.5
    assert measured.mean("steps", "sft", "unseen_common") == 1.0  # of the chosen side, without its added lines
    assert measured.mean("steps", "sft", "by_heart") == 1.5
    assert measured.mean("steps", "base", "unseen_added") is None


def test_a_contrast_is_taken_seed_by_seed(measured: Measured) -> None:
    found = measured.contrast("steps", "sft - target_rpo", "unseen_added")
    expected = estimate({0: [0.5, 1.5]})
    assert found == expected
    both = measured.contrast("steps", "sft - target_rpo - base + base", "passed")
    assert both is not None and both.mean == pytest.approx(2 / 16) and both.deviation == 0
    assert measured.contrast("steps", "sft - alpha_4", "passed") is None, "an arm that the grid has not"


def test_a_contrast_needs_every_seed(measured: Measured, tmp_path: Path) -> None:
    plan, records = measured.results.plan, Records(tmp_path / "work")
    cell = next(cell for cell in plan.held_out({}) if cell.name == "sft")
    records.put(cell.heading | {"error": "no memory"})
    left = Measured(Results.of(plan, records), "base")
    assert left.contrast("steps", "sft - target_rpo", "passed") is None
    assert left.mean("steps", "sft", "passed") == 6 / 8
    assert "no memory" in tables.tables(left)["small-missing"]


@pytest.mark.parametrize("wrong", ["", "sft -", "sft dpo", "sft - - dpo", "- sft", "sft * dpo"])
def test_what_is_no_contrast_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="expected a contrast such as sft - dpo, got"):
        terms_of(wrong)
    assert terms_of("a - b + c") == [(1, "a"), (-1, "b"), (1, "c")]


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        pytest.param([[4, 5, 4], [3, 3, 3]], "supported", id="all intervals over 0"),
        pytest.param([[4, 5, 4], [-1, 2, 1]], "undecided", id="one holds 0"),
        pytest.param([[-4, -5, -4], [-1, 2, 1]], "contradicted", id="one is under 0"),
        pytest.param([[4, 5, 4], None], "–", id="one was not run"),
    ],
)
def test_a_reason_needs_all_of_its_conditions(conditions: list[Any], expected: str) -> None:
    found = [outcome(values and estimate({0: values})) for values in conditions]
    assert verdict(SPILLING, found, gap="holds") == expected


@pytest.mark.parametrize("gap", ["fails", "undecided"])
def test_where_the_arms_do_not_differ_there_is_nothing_to_explain_but_the_rate(gap: Any) -> None:
    assert verdict(SPILLING, ["holds", "holds"], gap) == "nothing to explain"
    assert verdict(RATE, ["holds", "holds"], gap) == "supported"
    assert verdict(RATE, ["holds", "holds"], "–") == "supported" and verdict(SPILLING, ["holds"], "–") == "–"


def test_conditions_are_about_arms_and_figures_that_there_are() -> None:
    arms = load_grid("reasons").arms
    contrasts = [condition.contrast for reason in REASONS for condition in reason.conditions]
    assert {arm for contrast in (*contrasts, *GAPS) for _, arm in terms_of(contrast)} <= arms.keys()
    assert {condition.figure for reason in REASONS for condition in reason.conditions} <= FIGURES.keys()


def test_the_page_has_the_reasons_of_the_rule() -> None:
    assert tables.registered() in PAGE.read_text(encoding="utf-8")


def test_tables_and_plots_say_what_the_records_say(
    measured: Measured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, drawn = tables.tables(measured), plots(measured)
    assert "| steps | sft - target_rpo | +12.5 [+12.5, +12.5] |" in made["small-gaps"]
    assert "| steps | spilling | target_rpo - sft | lost | +33.3 [+33.3, +33.3] | holds |" in made["small-conditions"]
    assert "| 1 of 4 | – |" in made["small-verdicts"], "three conditions of spilling are about arms that are missing"
    assert "| steps | sft | unseen | 2.5 | 1 | 1.5 | -2 | -1 |" in made["small-likelihoods"]
    assert "| steps | base | 2 | 50.0 | 50.0 | 100.0 |" in made["small-answers"]
    assert drawn.keys() == {"pass-at-k-steps", "likelihoods-steps"}
    assert drawn["pass-at-k-steps"].count("<polyline") == 3 and drawn["likelihoods-steps"].count("<circle") == 6

    page = tmp_path / "results.md"
    page.write_text(
        "<!-- table small-gaps -->\nold\n<!-- end -->\n<!-- table small-likelihoods-steps-plot -->\n<!-- end -->"
    )
    for name, value in (("PAGE", page), ("PLOTS", tmp_path), ("PUBLISHED", tmp_path / "data")):
        monkeypatch.setattr(tables, name, value)
    tables.publish(measured)
    assert "+12.5" in page.read_text() and "figures/lab-small-likelihoods-steps.svg" in page.read_text()
    assert (tmp_path / "lab-small-likelihoods-steps.svg").is_file()
    assert Records(tmp_path / "elsewhere").take(tmp_path / "data") == 6


def test_without_records_nothing_is_made_up(tmp_path: Path) -> None:
    plan = MeasuredPlan.of(load_grid(made_grid(tmp_path)), tmp_path)
    empty = Measured(Results.of(plan, Records(tmp_path / "work")), "base")
    made = tables.tables(empty)
    assert {made[f"small-{name}"] for name in ("gaps", "verdicts", "conditions", "answers", "tasks")} == {NOT_RUN}
    assert plots(empty) == {} and "not run yet" in made["small-missing"]


def test_a_measured_cell_is_another_cell_of_the_same_data(tmp_path: Path) -> None:
    grid = load_grid(made_grid(tmp_path))
    cells, plain = MeasuredPlan.of(grid, tmp_path).held_out({}), Plan.of(grid, tmp_path).held_out({})
    assert not {cell.key for cell in cells} & {cell.key for cell in plain}
    assert [cell.data for cell in cells] == [cell.data for cell in plain]
    assert [seed.seed for seed in _seeds(cells)] == [5, 6, 7], "the last seed's models are held against the next seed"


def test_a_cell_whose_unseen_pairs_are_others_here_is_measured_again(measured: Measured, tmp_path: Path) -> None:
    plan, records = measured.results.plan, Records(tmp_path / "work")
    cells = plan.held_out({})
    other = cells[0].unseen  # seed 6
    records.put({"key": data_key(other, "debugging"), "made": {"hash": "another"}})
    _forget_others(plan, records)  # type: ignore[arg-type]
    forgotten = {(cell.name, cell.data.seed) for cell in cells if not finished(records.get(cell.key))}
    assert forgotten == {("sft", 5), ("target_rpo", 5)}


def test_traits_are_those_of_the_tasks() -> None:
    tasks, traits = tasks_of("steps", "held_out", 40, 7), traits_of("steps", "held_out", 40, 7)
    assert [task.task_id for task in tasks] == list(traits)
    assert [str(task.origin.count("/") + 1) for task in tasks] == [trait["steps"] for trait in traits.values()]
    assert {trait["kind"] for trait in traits.values()} == set("hmor")


def test_kinds_of_tasks_by_what_the_base_was_taught() -> None:
    for puzzle in islice(distinct_puzzles(PLAYGROUND, "train", 3), 60):
        sites = puzzle.sites
        wanted = [site.operation.forms[site.wanted] for site in sites]
        right = all(
            form.habit == max(f.habit for f in s.operation.forms) for form, s in zip(wanted, sites, strict=True)
        )
        usual = all(
            form.wanted == max(f.wanted for f in s.operation.forms) for form, s in zip(wanted, sites, strict=True)
        )
        clear = not any(site.operation.is_ambiguous for site in sites)
        assert kind_of(puzzle) == ("r" if not usual else "o" if not clear else "h" if right else "m")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arms": {"sft": GRID["arms"]["sft"]}}, "grid small: no arm is the base"),
        (
            {"seeds": None, "tuning": {"seeds": {"first": 1, "count": 1}, "rates": [1e-3], "lengths": [1]}},
            "and no tuning",
        ),
    ],
)
def test_a_grid_that_can_tell_no_reasons_is_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        check_reasons(load_grid(made_grid(tmp_path, **changes)))
