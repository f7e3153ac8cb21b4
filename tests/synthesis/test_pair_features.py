"""Table 17 of the kept pairs: features that a model names in both programs, per 1,000; and Figure 8, its scores."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from iterpref.analysis.distributions import PairCategoryRow, judge_scores, pair_categories
from iterpref.clients import Completion, Ledger, Request
from iterpref.config import Config, SynthesisConfig
from iterpref.errors import BudgetError, ClientError, StoreError
from iterpref.opened_run import OpenedRun
from iterpref.programs import fenced
from iterpref.records import PreferencePair, Span, TestQuality
from iterpref.store import Store
from iterpref.synthesis.pair_features import PairFeatures, PairFeaturesProgress, count_features_run
from iterpref.viewer.report import render_report

SORTS = {"algorithm": {"sorting": ["heap sort", "stable sort"]}, "made up": {"x": ["y"]}}
TEXT = {"algorithm": {"searching": ["binary search"]}, "text": {"parsing": ["split lines"]}}


class Model:
    """Names features by what a program says; counts what it is asked."""

    name = "model"

    def __init__(self, stops_after: int = 1 << 30) -> None:
        self.asked = 0
        self._stops_after = stops_after

    async def complete(self, request: Request) -> Completion:
        if self.asked >= self._stops_after:
            raise BudgetError("budget reached")
        self.asked += 1
        text = request.messages[0].content
        if "refused" in text:
            raise ClientError("too long")
        answer = "none" if "silent" in text else json.dumps(SORTS if "right" in text else TEXT)
        return Completion(text=answer)

    def close(self) -> None: ...


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "run") as opened:
        yield opened


def pair(name: str, word: str = "wrong") -> PreferencePair:
    return PreferencePair(
        pair_id=name, task_id=name, prompt="p", chosen=fenced(f"right_{name}"), rejected=fenced(f"{word}_{name}"),
        chosen_spans=(Span(start=10, stop=11),), rejected_spans=(Span(start=10, stop=11),), diff="lcs",
        diff_version=1, render_template="t",
    )  # fmt: skip


PAIRS = [pair("a"), pair("b"), pair("c", "silent"), pair("d", "refused")]


def count(store: Store, model: Model) -> PairFeaturesProgress:
    counting = PairFeatures(store, Ledger(model, store, at_a_time=1), ("algorithm", "text", "file"))
    return asyncio.run(counting.run(PAIRS))


def test_features_of_both_sides_per_thousand(store: Store) -> None:
    progress = count(store, Model())
    assert (progress.pairs, progress.total, progress.done) == (4, 8, 8)
    assert (progress.features, progress.without_answer, progress.failed_calls) == (4 * 2 + 2 * 2, 1, 1)
    note = store.note("pair_features")
    found = pair_categories(note, PAIRS)
    assert found is not None
    assert (found.pairs, found.model) == (2, "model"), "of pairs both of whose programs were counted"
    assert found.rows == [
        PairCategoryRow("algorithm", 2000, 1000), PairCategoryRow("file", 0, 0), PairCategoryRow("text", 0, 1000)
    ]  # fmt: skip
    assert found.mean == PairCategoryRow("mean", pytest.approx(2000 / 3), pytest.approx(2000 / 3))
    only = pair_categories(note, [PAIRS[0]])
    assert only is not None and only.pairs == 1, "those that are kept now"
    assert pair_categories(note, [pair("a", "other")]) is None, "made anew, it is another pair"
    again = Model()
    count(store, again)
    assert again.asked == 1, "only what failed is asked again"


def test_a_stop_keeps_what_was_counted(store: Store) -> None:
    with pytest.raises(BudgetError):
        count(store, Model(stops_after=3))
    found = pair_categories(store.note("pair_features"), PAIRS)
    assert found is not None and found.pairs == 1


def test_nothing_to_count(store: Store) -> None:
    with pytest.raises(StoreError, match="no kept pairs to count features of; iterpref pair makes them"):
        count_features_run(OpenedRun(store, Config(synthesis=SynthesisConfig(counted_pairs=3))))
    assert pair_categories({}, PAIRS) is None
    assert "judge --run" in render_report(store)


def test_scores_by_their_value() -> None:
    values = [(4, 3, 5), (5, 3, 5), (4, 4, 5)]
    names = ("accuracy", "effectiveness", "reasonableness")
    made = [
        TestQuality(task_id=str(n), tests_hash="h", program_hash="p", repeats=1, repeats_passed=1,
                    judge=dict(zip(names, scores, strict=True)))
        for n, scores in enumerate(values)
    ]  # fmt: skip
    unjudged = made[0].model_copy(update={"judge": {}})
    accuracy, effectiveness, reasonableness = judge_scores([*made, unjudged])
    assert (accuracy.name, accuracy.values) == ("accuracy", 3)
    assert accuracy.bins == (("1", 0), ("2", 0), ("3", 0), ("4", 2), ("5", 1))
    assert effectiveness.mean == pytest.approx(10 / 3)
    assert reasonableness.median == 5
    assert judge_scores([unjudged]) == []


def test_the_report_shows_both(store: Store) -> None:
    store.replace_pairs(PAIRS)
    count(store, Model())
    judged = {"task_id": "a", "tests_hash": "h", "program_hash": "p", "repeats": 1, "repeats_passed": 1}
    store.put_quality(TestQuality.model_validate(judged | {"judge": {"accuracy": 4}}))
    page = render_report(store)
    cells = '<td data-label="chosen">2000.0</td><td data-label="rejected">1000.0</td>'
    assert f'<th scope="row">algorithm</th>{cells}' in page
    assert 'aria-label="Number of programs by accuracy. 1: 0, 2: 0, 3: 0, 4: 1, 5: 0."' in page
