"""A run's store → what debugging and pairing came to: pass rates, the funnel, kinds of failure. None or [] without any.

Each function reads what it needs, streamed, and computes; nothing is written and no model is called.
Not here: Results (result_facts.py), the pairs themselves and what they cost (data_facts.py).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

from iterpref.analysis.funnel import (
    ErrorRow,
    IterationRow,
    calls_per_pair,
    error_types,
    iteration_rows,
)
from iterpref.analysis.pair_tally import FilterRow, PairTally
from iterpref.records import Trajectory
from iterpref.store import Store
from iterpref.viewer.charts import Chart, rates_chart

# Origins of trajectories that a pass rate is shown for, the first that a run has.
_SOLVERS = {"debugging": "debugging", "import": "recorded runs", "sampling": "sampling"}


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


def solving(store: Store) -> Solving | None:
    """Pass rate by iteration, and that of sampling on the same tasks beside debugging's."""
    made = store.trajectories_by_origin()
    origin = next((origin for origin in _SOLVERS if origin in made), None)
    if origin is None:
        return None
    tasks = {trajectory.task_id for trajectory in store.trajectories(origin)}
    sampled = {t.task_id for t in store.trajectories("sampling")} if origin == "debugging" else set()
    shared = tasks & sampled if sampled else tasks
    own = _iterations(store, origin, shared)
    sampling = _iterations(store, "sampling", shared) if sampled else []
    return _side_by_side(_SOLVERS[origin], own, sampling, shared_only=shared != tasks | sampled) if own else None


def _iterations(store: Store, origin: str, tasks: set[str]) -> list[IterationRow]:
    return iteration_rows(t for t in store.trajectories(origin) if t.task_id in tasks)


def _side_by_side(name: str, own: list[IterationRow], sampling: list[IterationRow], shared_only: bool) -> Solving:
    rates = {name: [row.pass_rate for row in own]}
    if sampling:
        rates["sampling"] = [row.pass_rate for row in sampling]
    return Solving(
        name=name,
        rows=[(i, ours, theirs) for i, (ours, theirs) in enumerate(zip_longest(own, sampling))],
        chart=rates_chart(rates, "repairs, or further draws" if "sampling" in rates else "repairs"),
        trajectories=own[0].trajectories,
        sampled=sampling[0].trajectories if sampling else 0,
        shared_only=shared_only,
    )


def pair_counts(store: Store) -> PairCounts | None:
    """The funnel; None while the run has no pairs at all, kept or dropped."""
    tally = PairTally.of(store.pairs())
    if not tally.pairs:
        return None
    made = store.trajectories_by_origin()
    return PairCounts(
        trajectories=sum(count for origin, count in made.items() if origin != "sampling"),
        repaired=sum(t.status == "passed" and not t.attempts[0].execution.passed for t in _repairing(store)),
        candidates=tally.pairs,
        kept=tally.kept,
        filters=tally.funnel,
        calls_per_pair=calls_per_pair(store.trajectories("debugging"), tally.kept) if "debugging" in made else None,
    )


def failures(store: Store) -> list[ErrorRow]:
    """Kinds of failure of debugging and recorded runs, the most frequent first."""
    return error_types(_repairing(store))


def is_playground(store: Store) -> bool:
    """Whether any task or Result comes from the playground, whose mistakes are planted."""
    return store.count_tasks(prefix="playground/") > 0 or "playground" in store.benchmarks()


def _repairing(store: Store) -> Iterator[Trajectory]:
    return (t for t in store.trajectories() if t.origin != "sampling" and t.attempts)
