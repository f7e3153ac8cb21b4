"""The report's data sections: what they show, and which command they name where there is nothing."""

import re
from collections.abc import Callable

from small_run import RIGHT, passed, raised, result, trajectory

from iterpref.clients.base import Completion, Request, Sampling
from iterpref.records import Message, TestQuality
from iterpref.store import Store
from iterpref.viewer.charts import bars_chart
from iterpref.viewer.debugging_facts import PairCounts, debugging_facts
from iterpref.viewer.pair_facts import PairFacts
from iterpref.viewer.report import render_report


def test_an_empty_run_names_the_commands(store: Store) -> None:
    page = render_report(store)
    for command in ("debug", "validate", "pair", "synthesize", "evaluate", "import FILE"):
        assert f"<code>iterpref {command} --run {store.folder}</code>" in page, command


def test_a_run_with_everything(fill: Callable[[], Store]) -> None:
    store = fill()
    measured = {"task_id": "own/1", "tests_hash": "h", "program_hash": "p", "repeats": 1, "repeats_passed": 1}
    store.put_quality(TestQuality.model_validate(measured | {"line_coverage": 0.75}))
    store.put_note("feature_tree", {"features": {}, "frequencies": {"algorithm": 2.0, "algorithm---search": 1.0}})
    page = re.sub(r"\s+", " ", render_report(store))
    assert 'aria-label="Number of programs that pass by line coverage. ' in page and "70–80: 1" in page
    assert "wrong lines (D⁻) per pair" in page
    assert '<th scope="row">algorithm</th><td data-label="features">1</td>' in page
    assert '<th scope="row">IndexError</th><td data-label="0 → 1">1 <span class="quiet">of 1</span></td>' in page
    assert "validate --run" not in page and "synthesize --run" not in page


def test_kinds_by_difficulty(store: Store) -> None:
    made = result("base", {"a": True, "b": False})
    store.put_result(made.model_copy(update={"difficulty": {"a": "easy", "b": "hard"}}))
    page = render_report(store)
    assert '<th scope="col">easy</th><th scope="col">hard</th>' in page
    assert '<th scope="row">wrong output</th><td data-label="easy">–</td><td data-label="hard">1</td>' in page
    assert "FileNotFoundError" in page


def test_calls_are_counted_once(store: Store) -> None:
    request = Request(messages=(Message(role="user", content="p"),), sampling=Sampling())
    for key, tokens, usd in (("k1", (10, 5), 0.5), ("k2", (20, 5), None), ("evaluation", (99, 99), 9.0)):
        store.put_call(key, "c", 0, tokens, usd, request, Completion(text="x", finish_reason="stop"))
    first = trajectory("own/1", (RIGHT, raised()), (RIGHT, passed()))
    attempts = [attempt.model_copy(update={"call_id": f"k{i + 1}"}) for i, attempt in enumerate(first.attempts)]
    for number in range(2):  # two trajectories that asked the same
        made = first.model_copy(update={"trajectory_id": f"t{number}", "attempts": tuple(attempts)})
        for attempt in made.attempts:
            store.put_execution(f"e{attempt.iteration}", attempt.execution)
            store.put_attempt(made.trajectory_id, made.task_id, attempt, f"e{attempt.iteration}")
        store.put_trajectory(made)
    found = debugging_facts(store, PairFacts.of(store)).cost
    assert found is not None and (found.attempts, found.calls, found.pairs) == (4, 2, 0)
    assert (found.prompt_tokens, found.completion_tokens, found.usd) == (30, 10, 0.5)


def test_calls_per_pair() -> None:
    counts = {"trajectories": 3, "repaired": 1, "candidates": 2, "filters": []}
    assert PairCounts(**counts, kept=2, calls=7).calls_per_pair == 3.5
    assert PairCounts(**counts, kept=0, calls=1).calls_per_pair is None
    assert PairCounts(**counts, kept=2, calls=None).calls_per_pair is None


def test_bars_start_at_zero_and_reach_the_top() -> None:
    chart = bars_chart("lines", [("0", 0), ("1", 4), ("2", 2)], "pairs")
    heights = [bar.height for bar in chart.bars]
    assert heights[0] == 0 and heights[1] == 2 * heights[2]
    assert all(bar.y + bar.height == chart.bottom for bar in chart.bars)
    assert chart.summary == "Number of pairs by lines. 0: 0, 1: 4, 2: 2."
