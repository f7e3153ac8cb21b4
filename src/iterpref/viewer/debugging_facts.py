"""A run's store → the facts of its debugging and data: pass rates, the funnel, failures, repairs, cost, distributions.

A fact is None or [] where the run has none yet; the template then names the command that makes it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from iterpref.analysis import diagnosis
from iterpref.analysis.dataset import (
    CategoryRow,
    Distribution,
    UnmeasuredRow,
    categories,
    coverage,
    differences,
    unmeasured,
)
from iterpref.analysis.funnel import (
    ErrorRow,
    FilterRow,
    IterationRow,
    PairTally,
    RepairRow,
    calls_per_pair,
    error_types,
    iteration_rows,
    repairs,
)
from iterpref.records import Place, Trajectory
from iterpref.run_folder import FEATURE_TREE_NOTE
from iterpref.store import Store
from iterpref.viewer.charts import Bars, Chart, bars_chart, rates_chart

# Origins of trajectories in words: of those that repair programs, and of those that have a pass rate; of each the first
# that a run has is shown.
_REPAIRING = {"debugging": "debugging", "import": "recorded runs"}
_SOLVERS = {**_REPAIRING, "sampling": "sampling"}
_MOST_CATEGORIES = 40


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
class Repairs:
    """Kinds of failure and what became of them; `iterations` heads the columns."""

    name: str
    iterations: list[int]
    rows: list[RepairRow]


@dataclass(frozen=True)
class Cost:
    """What the trajectories of a run took. Tokens and US dollars are None where no call says them."""

    trajectories: int
    attempts: int
    pairs: int
    sandbox_cpu_s: float
    calls: int = 0
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    usd: float | None = None

    def per_pair(self, total: float | None) -> float | None:
        """A total over kept pairs; None without either."""
        return None if total is None or not self.pairs else total / self.pairs


@dataclass(frozen=True)
class DataFacts:
    """Everything that the report says of the data side of a run."""

    coverage: list[tuple[Distribution, Bars]]
    unmeasured: list[UnmeasuredRow]
    differences: list[tuple[Distribution, Bars]]
    categories: list[CategoryRow]
    more_categories: int
    repairs: Repairs | None
    diagnoses: list[diagnosis.DiagnosisRows]
    places: dict[Place, str]
    cost: Cost | None


def solving(store: Store) -> Solving | None:
    """Pass rate by iteration, and that of sampling on the same tasks beside debugging's."""
    made = store.trajectories_by_origin()
    origin = next((origin for origin in _SOLVERS if origin in made), None)
    if origin is None:
        return None
    tasks = {trajectory.task_id for trajectory in store.trajectories(origin)}
    sampled = {t.task_id for t in store.trajectories("sampling")} if origin == "debugging" else set()
    shared = tasks & sampled if sampled else tasks
    own = iteration_rows(t for t in store.trajectories(origin) if t.task_id in shared)
    sampling = iteration_rows(t for t in store.trajectories("sampling") if t.task_id in shared) if sampled else []
    if not own:
        return None
    rates = {_SOLVERS[origin]: [row.pass_rate for row in own]}
    if sampling:
        rates["sampling"] = [row.pass_rate for row in sampling]
    return Solving(
        name=_SOLVERS[origin],
        rows=[(i, ours, theirs) for i, (ours, theirs) in enumerate(zip_longest(own, sampling))],
        chart=rates_chart(rates, "repairs, or further draws" if "sampling" in rates else "repairs"),
        trajectories=own[0].trajectories,
        sampled=sampling[0].trajectories if sampling else 0,
        shared_only=shared != tasks | sampled,
    )


def pair_counts(store: Store) -> PairCounts | None:
    """The funnel; None while the run has no pairs at all, kept or dropped."""
    tally = PairTally.of(store.pairs())
    if not tally.pairs:
        return None
    made = store.trajectories_by_origin()
    return PairCounts(
        trajectories=sum(count for origin, count in made.items() if origin != "sampling"),
        repaired=sum(t.status == "passed" and not t.attempts[0].execution.passed for t in _tried(store)),
        candidates=tally.pairs,
        kept=tally.kept,
        filters=tally.funnel,
        calls_per_pair=calls_per_pair(store.trajectories("debugging"), tally.kept) if "debugging" in made else None,
    )


def failures(store: Store) -> list[ErrorRow]:
    """Kinds of failure of debugging and recorded runs, the most frequent first."""
    return error_types(_tried(store))


def is_playground(store: Store) -> bool:
    """Whether any task or Result comes from the playground, whose mistakes are planted."""
    return store.count_tasks(prefix="playground/") > 0 or "playground" in store.benchmarks()


def data_facts(store: Store) -> DataFacts:
    """All of them, each from the store's records alone."""
    tree = store.note(FEATURE_TREE_NOTE) or {}
    found = categories(tree.get("frequencies") or {})
    return DataFacts(
        coverage=_with_bars(coverage(store.qualities()), "programs that pass"),
        unmeasured=unmeasured(store.qualities()),
        differences=_with_bars(differences(store.pairs(kept=True)), "pairs"),
        categories=found[:_MOST_CATEGORIES],
        more_categories=max(0, len(found) - _MOST_CATEGORIES),
        repairs=_repairs(store),
        diagnoses=diagnosis.diagnosis_rows(diagnosis.diagnoses_of_pairs(store)),
        places=diagnosis.PLACES,
        cost=cost(store),
    )


def cost(store: Store) -> Cost | None:
    """What debugging took, over the pairs of it that were kept; None for a run that debugged nothing."""
    trajectories = attempts = 0
    cpu_s = 0.0
    for trajectory in store.trajectories("debugging"):
        trajectories += 1
        attempts += len(trajectory.attempts)
        cpu_s += sum(attempt.execution.cpu_s for attempt in trajectory.attempts)
    if not trajectories:
        return None
    calls, prompt, completion, usd = store.calls_of("debugging")
    pairs = sum(pair.origin == "debugging" for pair in store.pairs(kept=True))
    counted = prompt + completion > 0
    return Cost(
        trajectories=trajectories,
        attempts=attempts,
        pairs=pairs,
        sandbox_cpu_s=cpu_s,
        calls=calls,
        prompt_tokens=prompt if counted else None,
        completion_tokens=completion if counted else None,
        usd=usd,
    )


def _repairs(store: Store) -> Repairs | None:
    for origin, name in _REPAIRING.items():
        if rows := repairs(store.trajectories(origin)):
            return Repairs(name, list(range(len(rows[0].tried))), rows)
    return None


def _with_bars(found: Sequence[Distribution], what: str) -> list[tuple[Distribution, Bars]]:
    return [(distribution, bars_chart(distribution.name, distribution.bins, what)) for distribution in found]


def _tried(store: Store) -> Iterator[Trajectory]:
    return (t for t in store.trajectories() if t.origin != "sampling" and t.attempts)
