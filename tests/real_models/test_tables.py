"""Tables hold what the records say, and where there is no record, that it was not run."""

from pathlib import Path

import pytest
from benchmarks.pages import NOT_RUN, filled
from benchmarks.real_models.charts import charts, pictures
from benchmarks.real_models.tables import tables

PAGE = Path(__file__).parents[2] / "docs" / "real-models.md"
WRONG, NAME = "wrong output", "NameError"
OWN = {"a": [""], "b": [WRONG, ""], "c": [NAME, WRONG, ""], "d": [WRONG, WRONG, NAME]}
COSTS = {"calls": 9, "prompt_tokens": 600, "completion_tokens": 300}
FUNNELS = {"debugging": {"found": 4, "kept": 3, "dropped": {"duplicate": 1}},
           "sampling": {"found": 5, "kept": 0, "dropped": {"tokens": 5}}}  # fmt: skip


def scores(*passed: str) -> dict:
    """Each benchmark has tasks a to d; those named pass, and d passes base tests anyway. Near d nothing counts."""
    return {name: {task: ["" if task in passed else NAME, task in (*passed, "d")] for task in "abcd"}
            for name in ("humaneval+", "mbpp+")}  # fmt: skip


def training(method: str, rate: float, passed: float) -> dict:
    return {"method": method, "rate": rate, "validation": {"pass@1": passed, "pass@1_stderr": 0.05}}


RECORDS = {
    "benchmarks": {name: {"tasks": 4, "near_duplicates": ["d"], "counted": 3} for name in ("humaneval+", "mbpp+")},
    "debugging": {"outcomes": OWN, **COSTS},
    "sampling": {
        "outcomes": {"a": [""], "b": [WRONG, ""], "c": [NAME, NAME, NAME], "d": [WRONG, WRONG, WRONG]},
        **COSTS,
    },
    "removed": {"outcomes": {"b": [WRONG, WRONG], "c": [NAME, NAME], "d": [WRONG, ""]}, **COSTS},
    "pairs": {"funnels": FUNNELS, "chosen": [["p", "debugging"], ["q", "debugging"]]},
    "diagnosis": {
        "failed": 0,
        "pairs": [
            {
                "pair": "p",
                "origin": "debugging",
                "goes_on": True,
                "fall": 1.0,
                "verdict": "holds",
                "before_added": 0.5,
                "after_added": 1.0,
                "before_removed": 0.5,
                "after_first_removed": 0.0,
                "after_removed": 0.0,
            },
            {
                "pair": "q",
                "origin": "debugging",
                "goes_on": False,
                "fall": None,
                "verdict": "undecided",
                "before_added": None,
                "after_added": None,
                "before_removed": 0.0,
                "after_first_removed": 0.0,
                "after_removed": 0.0,
            },
        ],
    },
    "validate-base": {"validation": {"pass@1": 0.4, "pass@1_stderr": 0.05}},
    "train-dpo-1e-05": training("dpo", 1e-5, 0.5),
    "train-dpo-0.0001": training("dpo", 1e-4, 0.52),
    "evaluate-base": {"entrant": "base", "rate": None, "scores": scores("a")},
    "evaluate-dpo": {"entrant": "dpo", "rate": 1e-5, "scores": scores("a", "b")},
    "evaluate-target_dpo": {"entrant": "target_dpo", "rate": 1e-5, "scores": scores("b")},
    "evaluate-target_rpo": {"entrant": "target_rpo", "rate": 1e-5, "scores": scores("a", "b", "c")},
}


def rows(name: str, records: dict = RECORDS) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in tables(records)[name].splitlines()]


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("tasks", ["mbpp+", "4", "1", "3"]),
        ("calls", ["debugging", "≤ 3", "9", "75.0"]),
        ("iterations", ["debugging", "25.0", "50.0", "75.0"]),
        ("iterations", ["sampling", "25.0", "50.0", "50.0"]),
        ("first-repair", ["its own feedback", "1 of 3", "", "", ""]),
        ("first-repair", ["feedback removed", "1 of 3", "1", "1", "1"]),
        ("diagnosis", ["continued", "all (2)", "debugging (2)", "sampling (0)", "lines left after D⁻ (1)"]),
        ("diagnosis", ["rejected, before D⁻", "25.0 (± 25.0)", "25.0 (± 25.0)", "", "50.0"]),
        ("diagnosis", ["chosen, after D⁺", "100.0", "100.0", "", "100.0"]),
        ("diagnosis", ["pairs whose D⁻ holds the fault", "1", "1", "0", "1"]),
        ("failures", ["wrong output", "2", "2", "0"]),
        ("failures", ["sum", "3", "2", "1"]),
        ("yield", ["debugging", "3", "9", "900", "3.0", "300.0"]),
        ("yield", ["sampling", "0", "9", "900", "–", "–"]),
        ("funnel", ["debugging", "4", "1", "0", "3", "2"]),
        ("rates", ["dpo", "50.0 ± 5.0", "52.0 ± 5.0", "1e-05"]),
        ("rates", ["before training", "40.0 ± 5.0", "", ""]),
        ("scores", ["dpo", "1e-05", "66.7", "66.7", "66.7", "66.7"]),
        ("paired", ["target_rpo", "6", "4", "0", "+66.7 [+33.3, +100.0]", "0.12"]),
        ("tests", ["primary", "target_rpo against base", "6", "4", "0", "+66.7 [+33.3, +100.0]", "0.12", "0.25"]),
        ("tests", ["second", "target_dpo against dpo", "6", "0", "2", "-33.3 [-66.7, +0.0]", "0.5", "0.5"]),
        ("kinds", ["NameError", "4", "2", "4", "0"]),
    ],
)
def test_a_row(name, row):
    assert row in rows(name)


def test_draws_after_a_pass_are_told_apart():
    funnels = FUNNELS | {"all draws": FUNNELS["sampling"]}
    records = RECORDS | {"pairs": {"funnels": funnels, "chosen": [["p", "debugging"], ["q", "sampling"]]}}
    last = {row[0]: row[-1] for row in rows("funnel", records)}
    assert (last["debugging"], last["sampling"], last["all draws"]) == ("1", "", "1")


def test_what_has_no_record_is_said_to_be_missing():
    assert set(tables({}).values()) == {NOT_RUN}
    few = {name: RECORDS[name] for name in ("debugging", "sampling")}
    assert [name for name, table in tables(few).items() if table != NOT_RUN] == [
        "calls", "iterations", "first-repair", "failures"]  # fmt: skip
    without_second = {name: record for name, record in RECORDS.items() if name != "evaluate-dpo"}
    assert [row[0] for row in rows("tests", without_second)[2:]] == ["primary"]
    assert rows("tests", without_second)[2][-1] == "0.12"  # alone, it needs no correction


def test_the_page_has_a_place_for_each_table():
    missing = tables({}) | pictures({}, "figures/")
    assert set(missing.values()) == {NOT_RUN}
    page = filled(PAGE.read_text(encoding="utf-8"), {name: f"[{name}]" for name in missing})
    assert all(page.count(f"<!-- table {name} -->\n\n[{name}]\n\n<!-- end -->") == 1 for name in missing)
    assert filled(page, missing).count(NOT_RUN) == len(missing)


def test_charts_are_drawn_of_what_is_there():
    import xml.etree.ElementTree as ET

    made = charts(RECORDS)
    assert sorted(made) == ["real-models-debugging.svg", "real-models-training.svg"]
    words = {name: " ".join(ET.fromstring(chart).itertext()) for name, chart in made.items()}
    assert "debugging, 75.0%" in words["real-models-debugging.svg"]
    assert "feedback removed, 50.0%" in words["real-models-debugging.svg"]
    assert "+66.7, 4 won, 0 lost" in words["real-models-training.svg"]
    assert charts({}) == {}
    assert "](figures/real-models-training.svg)" in pictures(RECORDS, "figures/")["training-chart"]
