"""A run's store → the facts of the report's sections. None or [] where the run has none yet.

Each function reads what it needs, streamed, and computes; nothing is written and no model is called.
Not here: training curves (`training_curves.py`), example pairs (`examples.py`), how it looks (`templates/`).
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

from iterpref.analysis.compare import Comparison, compare
from iterpref.analysis.funnel import (
    ErrorRow,
    FilterRow,
    IterationRow,
    calls_per_pair,
    error_types,
    iteration_rows,
    pair_funnel,
)
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
from iterpref.records import Execution, Result, Trajectory
from iterpref.store import Store
from iterpref.viewer.charts import Chart, rates_chart

_LIMIT_VERDICTS = {"timeout", "out_of_memory", "output_limit"}
# Origins of trajectories that a pass rate is shown for, the first that a run has.
_SOLVERS = {"debugging": "debugging", "import": "recorded runs", "sampling": "sampling"}


@dataclass(frozen=True)
class Gain:
    """The first and the last Result on one benchmark; `comparison` is None where they can't be compared: see `why`."""

    benchmark: str
    protocol: str
    comparison: Comparison | None
    why: str = ""


@dataclass(frozen=True)
class Solving:
    """Debugging (or recorded runs) beside sampling, iteration by iteration; a side without rows has None."""

    name: str
    rows: list[tuple[int, IterationRow | None, IterationRow | None]]
    chart: Chart
    trajectories: int
    sampled: int
    shared_only: bool

    @property
    def last_shared(self) -> tuple[IterationRow, IterationRow] | None:
        """The last row that both sides have."""
        both = [(ours, theirs) for _, ours, theirs in self.rows if ours and theirs]
        return both[-1] if both else None


@dataclass(frozen=True)
class PairCounts:
    """From trajectories to kept pairs."""

    trajectories: int
    repaired: int
    candidates: int
    kept: int
    filters: list[FilterRow]
    calls_per_pair: float | None


@dataclass(frozen=True)
class Scored:
    """One Result with its samples counted by outcome."""

    result: Result
    tasks: int
    passed: int
    wrong: int
    raised: int
    limits: int
    other: int


@dataclass(frozen=True)
class Isolation:
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
    """How the samples of the run's Results failed."""
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


def solving(store: Store) -> Solving | None:
    """Pass rate by iteration beside sampling's on the same tasks; imported runs stand in where none were debugged."""
    origin = next((o for o in _SOLVERS if o in store.trajectories_by_origin()), None)
    if origin is None:
        return None
    ours = {trajectory.task_id for trajectory in store.trajectories(origin)}
    sampled = {t.task_id for t in store.trajectories("sampling")} if origin == "debugging" else set()
    shared = ours & sampled if sampled else ours
    own_rows = iteration_rows(t for t in store.trajectories(origin) if t.task_id in shared)
    sampling_rows = iteration_rows(t for t in store.trajectories("sampling") if t.task_id in shared) if sampled else []
    if not own_rows:
        return None
    rates = {_SOLVERS[origin]: [row.pass_rate for row in own_rows]}
    if sampling_rows:
        rates["sampling"] = [row.pass_rate for row in sampling_rows]
    return Solving(
        name=_SOLVERS[origin],
        rows=[(i, a, b) for i, (a, b) in enumerate(zip_longest(own_rows, sampling_rows))],
        chart=rates_chart(rates, "repairs, or further draws" if "sampling" in rates else "repairs"),
        trajectories=own_rows[0].trajectories,
        sampled=sampling_rows[0].trajectories if sampling_rows else 0,
        shared_only=bool(sampled) and ours != sampled,
    )


def pair_counts(store: Store) -> PairCounts | None:
    """The funnel; None while the run has no pairs at all, kept or dropped."""
    candidates = store.count("pairs")
    if not candidates:
        return None
    kept = store.count_kept_pairs()
    origins = store.trajectories_by_origin()
    repaired = sum(1 for t in _repairing(store) if t.status == "passed" and not t.attempts[0].execution.passed)
    cost = calls_per_pair(store.trajectories("debugging"), kept) if "debugging" in origins else None
    return PairCounts(
        trajectories=sum(count for origin, count in origins.items() if origin != "sampling"),
        repaired=repaired,
        candidates=candidates,
        kept=kept,
        filters=pair_funnel(store.pairs()),
        calls_per_pair=cost,
    )


def _repairing(store: Store) -> Iterator[Trajectory]:
    return (t for t in store.trajectories() if t.origin != "sampling" and t.attempts)


def failures(store: Store) -> list[ErrorRow]:
    """Error types of debugging and recorded runs, the most frequent first."""
    return error_types(_repairing(store))


def scored(store: Store) -> list[Scored]:
    """All Results in the order in which they were made."""
    return [_score(result) for result in store.results()]


def _score(result: Result) -> Scored:
    verdicts = Counter(sample.execution.verdict for sample in result.samples)
    limits = sum(verdicts[verdict] for verdict in verdicts if verdict in _LIMIT_VERDICTS)
    known = verdicts["passed"] + verdicts["failed"] + verdicts["error"] + limits
    return Scored(
        result=result,
        tasks=len({sample.task_id for sample in result.samples}),
        passed=verdicts["passed"],
        wrong=verdicts["failed"],
        raised=verdicts["error"],
        limits=limits,
        other=verdicts.total() - known,
    )


def isolation(store: Store) -> Isolation:
    """Every execution behind the report's numbers: attempts and samples."""
    rungs: Counter[str] = Counter()
    trust: Counter[str] = Counter()
    warnings: Counter[str] = Counter()
    for execution in _executions(store):
        rungs[execution.isolation] += 1
        trust[execution.trust] += 1
        warnings.update(execution.warnings)
    return Isolation(rungs, trust, warnings)


def _executions(store: Store) -> Iterator[Execution]:
    for trajectory in store.trajectories():
        yield from (attempt.execution for attempt in trajectory.attempts)
    for result in store.results():
        yield from (sample.execution for sample in result.samples)


def is_playground(store: Store) -> bool:
    """Whether any task or Result comes from the playground, whose mistakes are planted."""
    return store.count_tasks(prefix="playground/") > 0 or "playground" in store.benchmarks()
