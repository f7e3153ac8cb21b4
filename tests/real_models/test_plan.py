"""The plan's arithmetic: what is run, which rate and which pairs are chosen, and what the tests can find."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks.real_models.data import benchmark_tasks, mbpp_rows
from benchmarks.real_models.debugging import debug_config
from benchmarks.real_models.evaluation import smallest_difference
from benchmarks.real_models.lab import Lab
from benchmarks.real_models.pairs import choose_pairs, shown
from benchmarks.real_models.plan import FULL, METHODS, QUICK, Experiment, Rates, Tokens, expected
from benchmarks.real_models.records import OtherExperiment, Records
from benchmarks.real_models.steps import steps
from benchmarks.real_models.training import Scored, choose_rate

from iterpref.analysis.compare import mcnemar_p
from iterpref.pairing import changed_spans
from iterpref.records import PreferencePair
from iterpref.training import METHODS as KNOWN


@pytest.fixture
def experiment(tmp_path: Path) -> Experiment:
    return Experiment("playground", None, "mbpp.jsonl", tmp_path / "work", FULL)


@pytest.mark.parametrize("scale", [FULL, QUICK], ids=lambda scale: scale.name)
@pytest.mark.parametrize("repairer", [None, "larger"])
def test_every_step_has_an_estimate_in_the_order_of_the_steps(experiment, scale, repairer):
    chosen = replace(experiment, scale=scale, repairer=repairer)
    assert list(steps(chosen)) == list(expected(chosen))
    assert ("repairer" in steps(chosen)) == bool(repairer)


def test_five_methods_at_three_rates(experiment):
    assert len(experiment.trainings()) == 15
    assert set(METHODS) < set(KNOWN) and list(FULL.rates) == sorted(FULL.rates)
    assert sum(name.startswith("evaluate-") for name in steps(experiment)) == 6


def test_quick_fits_into_45_minutes_by_its_own_estimate(experiment):
    hours = [Rates().hours(tokens) for tokens in expected(replace(experiment, scale=QUICK)).values()]
    assert sum(hours) < 0.75


def test_a_scale_says_how_often_programs_are_repaired(experiment):
    for scale, repairs in ((FULL, 5), (QUICK, 2)):
        lab = Lab(replace(experiment, scale=scale), Records(experiment.work))
        for mode in ("debugging", "sampling"):
            settings = debug_config(lab, f"debugging.mode={mode}").debugging
            assert (settings.mode, settings.max_iterations) == (mode, repairs)
    fewer = expected(replace(experiment, scale=replace(FULL, repairs=2)))
    assert fewer["debugging"].answer < expected(experiment)["debugging"].answer


def test_hours_are_tokens_over_rates():
    assert Rates(10.0, 5.0, 1.0).hours(Tokens(36000, 18000, 3600)) == pytest.approx(1 + 1 + 1)


@pytest.mark.parametrize(
    ("passed", "chosen"),
    [
        ((0.50, 0.52, 0.53), 1e-5),  # all within one standard error of the best
        ((0.40, 0.50, 0.53), 1e-4),
        ((0.40, 0.47, 0.53), 1e-3),
        ((0.53, 0.40, 0.30), 1e-5),
        ((0.49, 0.47, 0.53), 1e-5),
    ],
)
def test_ties_within_one_standard_error_go_to_the_lower_rate(passed, chosen):
    scores = [Scored(rate, share, 0.05) for rate, share in zip((1e-5, 1e-4, 1e-3), passed, strict=True)]
    random.Random(0).shuffle(scores)
    assert choose_rate(scores) == chosen


def pair(name: str, rejected: str = "x", origin: str = "debugging") -> PreferencePair:
    return PreferencePair(
        pair_id=name, task_id="t", prompt="p", chosen="y", rejected=rejected, chosen_spans=(), rejected_spans=(),
        diff="lcs", diff_version=1, render_template="fenced_python", origin=origin,
    )  # fmt: skip


def test_draws_fill_up_what_own_repairs_leave_and_bring_no_text_twice():
    own = [pair(f"own{i}", f"x{i}") for i in range(3)]
    drawn = [pair("same", "x1", "sampling"), pair("new", "z", "sampling"), pair("newer", "w", "sampling")]
    assert {p.pair_id for p in choose_pairs(own, drawn, 4)[:3]} == {"own0", "own1", "own2"}
    assert {p.pair_id for p in choose_pairs(own, drawn, 9)[3:]} == {"new", "newer"}
    assert choose_pairs(own, drawn, 2) == choose_pairs(own[::-1], [], 2)  # drawn by ids, not by place


@pytest.mark.parametrize(("split", "ids"), [("train", [601, 974]), ("validation", [511, 600])])
def test_splits_of_a_file_are_told_by_ids(write_rows, split, ids):
    path = write_rows(*({"task_id": n, "text": "", "code": ""} for n in (1, 510, 511, 600, 601, 974, 975)))
    assert [row["task_id"] for row in mbpp_rows(str(path), split)] == ids


def plus_row(task_id: str, prompt: str) -> dict[str, object]:
    return {"task_id": task_id, "prompt": prompt, "entry_point": "f", "canonical_solution": "def f(): ...",
            "base_input": [], "plus_input": [], "atol": 0}  # fmt: skip


def test_what_is_close_to_tasks_trained_or_tuned_on_does_not_count(experiment, monkeypatch, write_rows):
    texts = {number: f"Write a function that tells word {number} from all of the others." for number in range(8)}
    humaneval = write_rows(
        plus_row("HumanEval/0", "Something else than what the tasks of the other file say."), name="humaneval.jsonl"
    )
    plus = write_rows(plus_row("Mbpp/3", texts[0]), plus_row("Mbpp/11", texts[1]), plus_row("Mbpp/12", texts[2]),
                      plus_row("Mbpp/510", texts[3]), plus_row("Mbpp/555", texts[4]), name="plus.jsonl")  # fmt: skip
    seen = {500: texts[0], 511: texts[1], 974: texts[3]}  # 500 is in neither split
    mbpp = write_rows(*({"task_id": number, "text": text, "code": ""} for number, text in seen.items()))
    monkeypatch.setenv("ITERPREF_HUMANEVAL_PLUS_PATH", str(humaneval))
    monkeypatch.setenv("ITERPREF_MBPP_PLUS_PATH", str(plus))
    experiment.work.mkdir()
    chosen = replace(experiment, mbpp=str(mbpp))
    assert benchmark_tasks(chosen) == {
        "humaneval+": {"tasks": 1, "near_duplicates": [], "counted": 1},
        "mbpp+": {"tasks": 3, "near_duplicates": ["Mbpp/11", "Mbpp/510"], "counted": 1},
    }
    few = replace(chosen, scale=replace(FULL, evaluated=1))
    assert benchmark_tasks(few)["mbpp+"] == {"tasks": 1, "near_duplicates": ["Mbpp/11"], "counted": 0}


def test_the_smallest_gain_is_one_that_simulated_tests_find_four_times_in_five():
    tasks, differing = 200, 0.2
    gain = smallest_difference(tasks, differing, level=0.05)
    assert gain is not None
    draw = random.Random(0)
    won_share = (1 + gain / differing) / 2
    found = 0
    for _ in range(2000):
        differ = sum(draw.random() < differing for _ in range(tasks))
        won = sum(draw.random() < won_share for _ in range(differ))
        found += won > differ - won and mcnemar_p(won, differ - won) <= 0.05
    assert found / 2000 == pytest.approx(0.8, abs=0.03)


def test_too_few_tasks_find_nothing():
    assert smallest_difference(13, 0.2) is None


def test_a_pair_is_shown_with_its_lines_marked():
    fixed = "```python\ndef f(x):\n    return x + 1\n```"
    spans = changed_spans(wrong := fixed.replace("+", "-"), fixed)
    made = pair("p", wrong).model_copy(
        update={"chosen": fixed, "rejected_spans": spans.rejected, "chosen_spans": spans.chosen}
    )
    marked = [line for line in shown(made).splitlines() if line[:2] in ("- ", "+ ")]
    assert marked == ["-     return x - 1", "+     return x + 1"]


def test_a_folder_holds_one_experiment(experiment):
    records = Records(experiment.work)
    records.claim(experiment)
    records.claim(replace(experiment, settings=("client.batch_size=4",)))  # how fast, not what
    with pytest.raises(OtherExperiment, match=r"settings is \[\] there"):
        records.claim(replace(experiment, settings=("seed=1",)))
    records.put("debugging", {"calls": 3})
    records.claim(replace(experiment, repairer="larger"))  # an arm that is added later
    assert Records(experiment.work)["debugging"] == {"calls": 3}
    with pytest.raises(OtherExperiment, match=r"scale is .*'full'.* now; choose another --work"):
        records.claim(replace(experiment, scale=QUICK))
    with pytest.raises(KeyError):
        records["sampling"]
