"""A run's store → what evaluation came to, and how programs were isolated."""

from collections import Counter
from collections.abc import Iterator
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
from iterpref.records import Execution, Result
from iterpref.store import Store

# Verdict → the column of the report that counts it; the rest are `other`.
_LIMITS = dict.fromkeys(("timeout", "out_of_memory", "output_limit"), "limit")
_OUTCOMES = {"passed": "passed", "failed": "failed", "error": "raised", **_LIMITS}


@dataclass(frozen=True)
class Gain:
    """The first and the last Result on one benchmark; `comparison` is None where they can't be compared: see `why`."""

    benchmark: str
    protocol: str
    comparison: Comparison | None
    why: str = ""


@dataclass(frozen=True)
class ScoredResult:
    """One Result with its samples counted by outcome."""

    result: Result
    tasks: int
    outcomes: Counter[str]


@dataclass(frozen=True)
class IsolationFacts:
    """On which rungs programs ran, and what executions warned of."""

    rungs: Counter[str]
    trust: Counter[str]
    warnings: Counter[str]

    @property
    def unsafe(self) -> int:
        """Executions with resource limits only: the program could read and write what its user can."""
        return self.rungs["rlimits"]


@dataclass(frozen=True)
class Kinds:
    """Kinds of failure by Result, the paper's Table 18, and of the last Result one example each and two breakdowns."""

    models: list[str]
    rows: list[tuple[str, list[int]]]
    paper: list[PaperRow]
    examples: list[KindRow]
    lengths: Crossed
    difficulty: Crossed | None


def failure_kinds(store: Store) -> Kinds | None:
    """How the samples of the run's Results failed; None where none did."""
    results = list(store.results())
    rows = kinds_by_model(results)
    if not rows:
        return None
    labels = [f"{result.model} on {result.benchmark}" for result in results]
    last = results[-1]
    return Kinds(labels, rows, paper_counts(results), taxonomy(last), by_length(last), by_difficulty(last))


def gains(store: Store) -> list[Gain]:
    """For each benchmark with at least two Results of one protocol: the first against the last."""
    groups: dict[tuple[str, str, str], list[Result]] = {}
    for result in store.results():
        groups.setdefault((result.benchmark, result.dataset_hash, result.protocol), []).append(result)
    return [_gain(results[0], results[-1]) for results in groups.values() if len(results) > 1]


def _gain(first: Result, last: Result) -> Gain:
    try:
        return Gain(first.benchmark, first.protocol, compare(first, last))
    except RecordError as error:
        return Gain(first.benchmark, first.protocol, None, str(error))


def suite(store: Store) -> SuiteTable | None:
    """The last Result of each model on each benchmark in one table, against the model that was evaluated first.

    None where two models on one benchmark say it all (`gains`), or nothing can be compared.
    """
    cells: dict[str, dict[str, Result]] = {}
    for result in store.results():
        if result.samples:
            cells.setdefault(result.model, {})[result.benchmark] = result
    benchmarks = list(dict.fromkeys(name for of_model in cells.values() for name in of_model))
    if len(cells) < 2 or len(cells) * len(benchmarks) <= 2:
        return None
    return suite_table(cells, benchmarks, next(iter(cells)))


def scored(store: Store) -> list[ScoredResult]:
    """All Results in the order in which they were made."""
    return [
        ScoredResult(
            result,
            len({sample.task_id for sample in result.samples}),
            Counter(_OUTCOMES.get(sample.execution.verdict, "other") for sample in result.samples),
        )
        for result in store.results()
    ]


def isolation(store: Store) -> IsolationFacts:
    """Every execution behind the report's numbers: attempts and samples."""
    facts = IsolationFacts(Counter(), Counter(), Counter())
    for execution in _executions(store):
        facts.rungs[execution.isolation] += 1
        facts.trust[execution.trust] += 1
        facts.warnings.update(execution.warnings)
    return facts


def _executions(store: Store) -> Iterator[Execution]:
    for trajectory in store.trajectories():
        yield from (attempt.execution for attempt in trajectory.attempts)
    for result in store.results():
        yield from (sample.execution for sample in result.samples)
