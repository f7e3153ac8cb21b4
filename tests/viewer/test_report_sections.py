"""What a reader of the report looks for: won tasks, failures, how a pair came about, in a run that went well or not."""

import json
import re
from collections.abc import Callable

import pytest
from small_run import HOSTILE, RIGHT, WORSE, WRONG, put_trajectory, raised, result, task, trajectory, wrong
from test_report import Page, flat

from iterpref.clients.base import Request, Sampling
from iterpref.config import PairingConfig
from iterpref.pairing import make_pairs
from iterpref.records import Execution, ImportedPair, Message
from iterpref.store import Store
from iterpref.viewer.diffs import beneath, beside
from iterpref.viewer.report import render_report

Fill = Callable[[], Store]


def section(html: str, name: str) -> str:
    """The text of one section."""
    found = re.search(rf'<h2 id="{name}">.*?(?=<h2 |</main>)', html, re.DOTALL)
    assert found, name
    return flat(Page(found[0]).text)


def test_the_index_leads_to_every_section_in_their_order(fill: Fill) -> None:
    html = render_report(fill())
    places = re.findall(r'<h2 id="([\w-]+)"', html)
    assert places == ["gain", "solving", "pairs", "examples", "training", "failures", "results", "kinds", "data",
                      "isolation", "run"]  # fmt: skip
    links = [value[1:] for tag, name, value in Page(html).attributes if (tag, name) == ("a", "href")]
    assert links == ["content", *places, *places]  # one index beside the page, one that folds


def test_tasks_won_and_lost_with_both_programs(store: Store) -> None:
    before = {f"t/{i}": i >= 25 for i in range(30)}
    first = result("base", before, model="local:coder:0123456789ab")
    after = result("trained", {name: not solved for name, solved in before.items()}, model="local:model:ba9876543210")
    programs = [sample.model_copy(update={"program": RIGHT.replace("max", "min")}) for sample in first.samples]
    store.put_result(first.model_copy(update={"samples": tuple(programs)}))
    store.put_result(after)
    html = render_report(store)
    said = section(html, "gain")
    assert "Before: coder. After: model." in said and '<code title="local:coder:0123456789ab">coder</code>' in html
    assert "Tasks won: 25 t/0 solve([1, 2]) returned 1, expected 2 coder failed def solve(xs):" in said
    assert "model ✓ passed" in said and "removed: return min(xs)" in said and "added: return max(xs)" in said
    assert Page(html).words == ["min", "max"] * 25
    assert said.count("solve([1, 2]) returned 1, expected 2 coder failed") == 20
    assert f"And 5 more: iterpref view {store.folder} lists them under Compare." in said
    assert "Tasks lost: 5" in said and "And 0 more" not in said


def test_where_nothing_passes_the_failures_come_first(store: Store) -> None:
    store.put_tasks([task(1), task(2, prompt=HOSTILE)])
    put_trajectory(store, trajectory("own/1", (WRONG, raised()), (WORSE, wrong())))
    put_trajectory(store, trajectory("own/2", (WORSE, wrong())))
    none = Execution(verdict="error", trust="oracle", isolation="zygote", error_type="NoProgram", error="no program")
    put_trajectory(store, trajectory("gone/3", ("", none)))
    html = render_report(store)
    assert re.findall(r'<h2 id="([\w-]+)"', html)[0] == "failures"
    said = section(html, "failures")
    assert said.startswith("Nothing passed 3 tasks were tried, and no program passed")
    assert "wrong output – 2 2" not in said and re.search(r"wrong output 1 2 2 ", said)
    assert re.search(r"wrong output: own/1 solve\(\[1, 2\]\) returned 1, expected 2", said)
    assert "The program of attempt 1 failed" in said and "return min(xs)" in said
    assert "IndexError: own/1 solve([]) raised IndexError" in said and "first = xs[0]" in said
    assert "The reply of attempt 0, in which no program was found ```python" in said
    assert html.count("<details open>") == 1
    assert f"iterpref pair --run {store.folder}" in section(html, "pairs")
    store.put_note("settings:pair", [{"settings": {}, "changed": {}}])
    assert "iterpref pair ran, and found no trajectory" in section(render_report(store), "pairs")


def test_calls_that_were_given_up_and_tools_that_failed_are_told(store: Store) -> None:
    request = Request(messages=(Message(role="user", content="p"),), sampling=Sampling())
    store.put_dead_letter("k", "openai:q@localhost", f"503 {HOSTILE}", request)
    html = render_report(store)
    assert f"1 call got no answer and was given up. The last one: 503 {HOSTILE}" in section(html, "failures")
    store.put_tasks([task(1)])
    broken = Execution(verdict="sandbox_error", trust="oracle", isolation="zygote", error="no room")
    put_trajectory(store, trajectory("own/1", (RIGHT, broken)).model_copy(update={"status": "failed_tools"}))
    assert "Of 1 trajectory the tools failed; they say nothing" in section(render_report(store), "failures")


def test_examples_are_of_different_kinds_and_say_how_they_came_about(fill: Fill) -> None:
    store = fill()
    kept = store.count_kept_pairs()
    html = render_report(store)
    said = section(html, "examples")
    assert f"2 of {kept} kept pairs" in said
    for kind, error, name in (("IndexError", "IndexError", "own/1"), ("wrong output", "failed", "own/2")):
        assert f"{kind} 1 pair with {error}; task {name}" in said
    assert "How it came about: 2 attempts Attempt 0 failed wrong output" in said
    assert "What changed to attempt 1:" in said and "removed: return min(xs)" in said


def test_an_imported_pair_is_an_example_too(store: Store) -> None:
    store.put_imported_pairs([ImportedPair(pair_id="p", task_id="t", prompt="Do it.", chosen=RIGHT, rejected=WORSE)])
    store.replace_pairs(make_pairs(store, PairingConfig()))
    said = section(render_report(store), "examples")
    assert "1 of 1 kept pair" in said and "imported 1 pair of this kind; task t" in said
    assert "How it came about" not in said and "wrong line: return min(xs)" in said


def test_kinds_without_walls_of_zeros(store: Store) -> None:
    store.put_result(result("base", {"a": False, "b": True}))
    said = section(render_report(store), "kinds")
    assert "FileNotFoundError: none of these samples failed in one of them" in said
    assert not re.search(r"\b0\b", said.split("The last result")[0])
    made = result("other", {"a": False})
    lost = made.samples[0].execution.model_copy(update={"verdict": "error", "error_type": "KeyError"})
    store.put_result(made.model_copy(update={"samples": (made.samples[0].model_copy(update={"execution": lost}),)}))
    said = section(render_report(store), "kinds")
    assert "local:otherown.jsonl – 1 – – 1 1 1" in said and "local:baseown.jsonl" not in said


def test_what_is_known_of_the_run(fill: Fill) -> None:
    store = fill()
    store.put_note("import:their/runs.jsonl", {"trajectories": 1})
    run = {"model": "/models/base-7b", "summary": {"method": "rpo", "pairs": 9, "trained_pairs": 8, "steps": 1,
                                                   "epochs": 2.0, "seconds": 75.0}}  # fmt: skip
    (store.folder / "model" / "training_run.json").write_text(json.dumps(run), encoding="utf-8")
    (store.folder / "model" / "training_settings.json").write_text("{", encoding="utf-8")
    html = render_report(store)
    assert "rpo on 8 of 9 pairs, 1 step, 2 epochs in 1 min 15 s, beginning with base-7b." in section(html, "training")
    said = section(html, "run")
    assert f"folder {store.folder}" in said and "imported from their/runs.jsonl" in said
    assert "base: local:base" in said and "training_settings.json: " in said and "can't be read" in said
    assert "--run RUN" not in html


@pytest.mark.parametrize(
    ("before", "after", "marks"),
    [
        ("a = b.index(c)", "a = b.find(c)", [((6, 11),), ((6, 10),)]),
        ("f(x)", "f(x, 1)", [(), ((3, 6),)]),
        ("total = first + 1", "return 0", [(), ()]),  # another line
        ("a = b", "if b:\n    a = b", [(), ()]),  # two lines for one
        ("one = 1\nf(a)", "one = 1\nf(b)", [((2, 3),), ((2, 3),)]),
    ],
)
def test_words_that_differ_within_a_line(before: str, after: str, marks: list[tuple[tuple[int, int], ...]]) -> None:
    sides = beside(before, after)
    assert [side[-1].marks for side in sides] == marks
    assert {line.marks for line in beneath(before, after) if line.sign in ("−", "+")} == set(marks)


def test_a_last_newline_is_a_difference() -> None:
    assert [(line.sign, line.text) for line in beneath("a\n", "a")] == [("", "a"), ("−", "")]
