"""A run's Results → what evaluation came to."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from iterpref.analysis.compare import Comparison, compare
from iterpref.analysis.suite import SuiteTable, suite_table
from iterpref.analysis.taxonomy import (
    Crossed,
    KindRow,
    PaperRow,
    by_difficulty,
    by_length,
    kinds_by_model,
    paper_counts,
    taxonomy,
)
from iterpref.errors import RecordError
from iterpref.records import Result

from .sides import Outcomes, outcomes

# Verdict → the column of the report that counts it; the rest are `other`.
_LIMITS = dict.fromkeys(("timeout", "out_of_memory", "output_limit"), "limit")
_OUTCOMES = {"passed": "passed", "failed": "failed", "error": "raised", **_LIMITS}
MOST_TASKS = 20  # won, and as many lost, whose programs are on the page
MOST_WITH_PROGRAMS = 4  # of the comparisons
MOST_MODELS = 6  # side by side in one table


@dataclass(frozen=True)
class Gain:
    """The first and the last Result on one benchmark; `comparison` is None where they can't be compared: see `why`."""

    benchmark: str
    protocol: str
    first: Result
    last: Result
    comparison: Comparison | None
    why: str = ""


@dataclass(frozen=True)
class ScoredResult:
    """One Result with its samples counted by outcome."""

    result: Result
    tasks: int
    outcomes: Counter[str]


@dataclass(frozen=True)
class Kinds:
    """Kinds of failure by Result (the last ones), the paper's Table 18, and of the last Result one example each and two
    breakdowns; `cut` of its replies were cut at `max_tokens`, and failed. `columns`: model and benchmark."""

    columns: list[tuple[str, str]]
    rows: list[tuple[str, list[int]]]
    paper: list[PaperRow]
    examples: list[KindRow]
    lengths: Crossed
    difficulty: Crossed | None
    left_out: int
    cut: int


def failure_kinds(results: Sequence[Result]) -> Kinds | None:
    """How the samples of the run's Results failed; None where none did."""
    shown = results[-MOST_MODELS:]
    rows = kinds_by_model(shown)
    if not rows:
        return None
    columns = [(result.model, result.benchmark) for result in shown]
    paper = [row for row in paper_counts(shown) if row.sum]
    last, left = shown[-1], len(results) - len(shown)
    return Kinds(columns, rows, paper, taxonomy(last), by_length(last), by_difficulty(last), left, last.cut_replies)


def gains(results: Iterable[Result]) -> list[Gain]:
    """For each benchmark with at least two Results of one protocol: the first against the last."""
    groups: dict[tuple[str, str, str], list[Result]] = {}
    for result in results:
        groups.setdefault((result.benchmark, result.dataset_hash, result.protocol), []).append(result)
    return [_gain(found[0], found[-1]) for found in groups.values() if len(found) > 1]


def _gain(first: Result, last: Result) -> Gain:
    try:
        return Gain(first.benchmark, first.protocol, first, last, compare(first, last))
    except RecordError as error:
        return Gain(first.benchmark, first.protocol, first, last, None, str(error))


def with_programs(found: Sequence[Gain], labels: Mapping[str, str]) -> list[tuple[Gain, Outcomes | None]]:
    """Each with the programs of the first tasks that were won and lost; None where there is nothing to compare, and
    for later ones."""
    return [
        (gain, outcomes(gain.comparison, gain.first, gain.last, MOST_TASKS, labels))
        if gain.comparison is not None and place < MOST_WITH_PROGRAMS
        else (gain, None)
        for place, gain in enumerate(found)
    ]


def suite(results: Iterable[Result]) -> SuiteTable | None:
    """The last Result of each model on each benchmark in one table, against the model that was evaluated first.

    None where two models on one benchmark say it all (`gains`), or nothing can be compared.
    """
    cells: dict[str, dict[str, Result]] = {}
    for result in results:
        if result.samples:
            cells.setdefault(result.model, {})[result.benchmark] = result
    benchmarks = list(dict.fromkeys(name for of_model in cells.values() for name in of_model))
    if len(cells) < 2 or len(cells) * len(benchmarks) <= 2:
        return None
    return suite_table(cells, benchmarks, next(iter(cells)))


def scored(results: Iterable[Result]) -> list[ScoredResult]:
    """All Results in the order in which they were made."""
    return [
        ScoredResult(
            result,
            len({sample.task_id for sample in result.samples}),
            Counter(_OUTCOMES.get(sample.execution.verdict, "other") for sample in result.samples),
        )
        for result in results
    ]
