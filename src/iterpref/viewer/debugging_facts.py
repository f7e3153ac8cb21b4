"""A run's store → the facts of its debugging: pass rates, the funnel, failures, repairs, cost, isolation.

Trajectories are streamed, and read once for all of it. A fact is None or [] where the run has none yet; the template
then names the command that makes it.
"""

from dataclasses import dataclass
from itertools import zip_longest

from iterpref.analysis.funnel import (
    FilterRow,
    IterationRow,
    IterationTally,
    KindTally,
    PairTally,
    RepairRow,
    RepairTally,
    says_something,
)
from iterpref.records import Trajectory
from iterpref.run_folder import settings_note
from iterpref.store import Store

from .charts import Chart, rates_chart
from .failing import Failing, failing
from .funnel import FunnelStep, funnel_steps
from .isolation import IsolationFacts
from .pair_facts import PairFacts

# Origins of trajectories in words: of those that repair programs, and of those that have a pass rate; of each the first
# that a run has is shown.
_REPAIRING = {"debugging": "debugging", "import": "recorded runs"}
_SOLVERS = {**_REPAIRING, "sampling": "sampling"}


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
    """From trajectories to kept pairs; `calls` are those of debugging, None without it."""

    trajectories: int
    repaired: int
    candidates: int
    kept: int
    filters: list[FilterRow]
    calls: int | None

    @property
    def calls_per_pair(self) -> float | None:
        """Model calls spent for each kept pair (paper: about 10.4); None without pairs."""
        return None if self.calls is None or not self.kept else self.calls / self.kept


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
class DebuggingFacts:
    """All of them. `paired`: pairing has run, whether or not it made a pair."""

    solving: Solving | None
    steps: list[FunnelStep]
    pairs: PairCounts | None
    paired: bool
    failing: Failing
    repairs: Repairs | None
    cost: Cost | None
    isolation: IsolationFacts
    clients: set[str]


def debugging_facts(store: Store, pairs: PairFacts) -> DebuggingFacts:
    """Of a run's trajectories, pairs and calls."""
    read = _Reading(store)
    for trajectory in store.trajectories():
        read.add(trajectory)
    return DebuggingFacts(
        solving=read.solving(),
        steps=funnel_steps(store, store.origins()),
        pairs=_pair_counts(pairs.tally, read) if pairs.tally.pairs else None,
        paired=bool(store.note(settings_note("pair"))),
        failing=failing(store, read.kinds, read.solved, read.no_word),
        repairs=read.repairs(),
        cost=_cost(store, read, pairs.debugged) if read.debugged else None,
        isolation=read.isolation,
        clients=read.clients,
    )


class _Reading:
    """One walk over a run's trajectories: which of them count for what."""

    def __init__(self, store: Store) -> None:
        self.made = store.trajectories_by_origin()
        self.origin = next((origin for origin in _SOLVERS if origin in self.made), "")
        self.solved = store.solved_tasks(self.origin)
        tasks = self.solved.keys()
        sampled = store.solved_tasks("sampling").keys() if self.origin == "debugging" else set()
        self._shared = tasks & sampled if sampled else set(tasks)
        self._shared_only = self._shared != tasks | sampled
        self._own, self._sampling = IterationTally(), IterationTally()
        self._repairs = {origin: RepairTally() for origin in _REPAIRING}
        self.kinds = KindTally()
        self.isolation = IsolationFacts()
        self.clients: set[str] = set()
        self.repaired = self.debugged = self.attempts = self.no_word = 0
        self.cpu_s = 0.0

    def add(self, trajectory: Trajectory) -> None:
        self.clients.add(trajectory.client)
        for attempt in trajectory.attempts:
            self.isolation.add(attempt.execution)
        if trajectory.task_id in self._shared:
            if trajectory.origin == self.origin:
                self._own.add(trajectory)
            elif trajectory.origin == "sampling":
                self._sampling.add(trajectory)
        if trajectory.origin != "sampling" or self.origin == "sampling":
            self.kinds.add(trajectory)
            self.no_word += not says_something(trajectory)
        if trajectory.origin in self._repairs:
            self._repairs[trajectory.origin].add(trajectory)
            made = trajectory.attempts
            self.repaired += bool(made) and trajectory.status == "passed" and not made[0].execution.passed
        if trajectory.origin == "debugging":
            self.debugged += 1
            self.attempts += len(trajectory.attempts)
            self.cpu_s += sum(attempt.execution.cpu_s for attempt in trajectory.attempts)

    def solving(self) -> Solving | None:
        own, sampling = self._own.rows(), self._sampling.rows()
        if not own:
            return None
        rates = {_SOLVERS[self.origin]: [row.pass_rate for row in own]}
        rates |= {"sampling": [row.pass_rate for row in sampling]} if sampling else {}
        return Solving(
            name=_SOLVERS[self.origin],
            rows=[(i, ours, theirs) for i, (ours, theirs) in enumerate(zip_longest(own, sampling))],
            chart=rates_chart(rates, "repairs, or further draws" if "sampling" in rates else "repairs"),
            trajectories=own[0].trajectories,
            sampled=sampling[0].trajectories if sampling else 0,
            shared_only=self._shared_only,
        )

    def repairs(self) -> Repairs | None:
        for origin, tally in self._repairs.items():
            if rows := tally.rows:
                return Repairs(_REPAIRING[origin], list(range(len(rows[0].tried))), rows)
        return None


def _pair_counts(tally: PairTally, read: _Reading) -> PairCounts:
    return PairCounts(
        trajectories=sum(count for origin, count in read.made.items() if origin != "sampling"),
        repaired=read.repaired,
        candidates=tally.pairs,
        kept=tally.kept,
        filters=tally.funnel,
        calls=read.attempts if read.debugged else None,
    )


def _cost(store: Store, read: _Reading, pairs: int) -> Cost:
    """What debugging took, over the pairs of it that were kept."""
    calls, prompt, completion, usd = store.calls_of("debugging")
    counted = prompt + completion > 0
    return Cost(
        trajectories=read.debugged,
        attempts=read.attempts,
        pairs=pairs,
        sandbox_cpu_s=read.cpu_s,
        calls=calls,
        prompt_tokens=prompt if counted else None,
        completion_tokens=completion if counted else None,
        usd=usd,
    )


def is_playground(store: Store) -> bool:
    """Whether any task or Result comes from the playground, whose mistakes are planted."""
    return store.count_tasks(prefix="playground/") > 0 or "playground" in store.benchmarks()
