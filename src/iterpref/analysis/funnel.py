"""From tasks to pairs in numbers: what passed after how many repairs, what failed how, which filter dropped what.

Trajectories and pairs are streamed, and each is read once: a tally takes one after the other, and has its rows then.
Trajectories whose tools failed say nothing about the model and are left out.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Protocol, Self, TypeVar

from iterpref.analysis.taxonomy import failure_kind
from iterpref.records import Attempt, PreferencePair, Trajectory


@dataclass(frozen=True)
class IterationRow:
    """All trajectories up to one iteration: the share that passed, and the model calls that took."""

    iteration: int
    passed: int
    calls: int
    trajectories: int

    @property
    def pass_rate(self) -> float:
        return self.passed / self.trajectories


@dataclass(frozen=True)
class ErrorRow:
    """One kind of failure among first attempts, among all attempts, and among the last ones of unsolved tasks."""

    name: str
    first: int
    all: int
    unsolved: int


@dataclass(frozen=True)
class RepairRow:
    """One kind of failure: by iteration of the failing attempt, how many were followed by another attempt, and how many
    of these attempts passed, failed in the same way, or failed in another."""

    name: str
    tried: list[int]
    fixed: list[int]
    same: int
    other: int

    @property
    def fixed_share(self) -> float:
        return sum(self.fixed) / sum(self.tried)


@dataclass(frozen=True)
class FilterRow:
    """One filter: pairs that reached it, that it dropped, that were left, and its reasons with their counts."""

    name: str
    entered: int
    dropped: int
    left: int
    reasons: Counter[str]


class IterationTally:
    """Which trajectories passed after how many repairs, and the calls that took. Debugging and sampling read alike."""

    def __init__(self) -> None:
        self.trajectories = 0
        self._passed: Counter[int] = Counter()
        self._calls: Counter[int] = Counter()

    def add(self, trajectory: Trajectory) -> None:
        if not says_something(trajectory):
            return
        self.trajectories += 1
        made = list(_until_passed(trajectory))
        self._passed[made[-1].iteration] += made[-1].execution.passed
        self._calls.update(attempt.iteration for attempt in made)

    def rows(self, iterations: int | None = None) -> list[IterationRow]:
        """One row per iteration 0 to `iterations` (default: the last one that anything reached); [] without any
        trajectory. One that ended unsolved before `iterations` stays unsolved."""
        if not self.trajectories:
            return []
        last = max(self._calls) if iterations is None else iterations
        passed_by = accumulate(self._passed[i] for i in range(last + 1))
        calls_by = accumulate(self._calls[i] for i in range(last + 1))
        totals = enumerate(zip(passed_by, calls_by, strict=True))
        return [IterationRow(i, *both, self.trajectories) for i, both in totals]


class KindTally:
    """How programs failed; attempts after the first pass don't count.

    `examples`: kind → id of a trajectory and iteration of one such attempt, the last one of an unsolved task where
    there is one. `cut`: failing attempts whose reply was cut at `max_tokens` before its program ended.
    """

    def __init__(self) -> None:
        self.examples: dict[str, tuple[str, int]] = {}
        self.cut = 0
        self._first: Counter[str] = Counter()
        self._every: Counter[str] = Counter()
        self._unsolved: Counter[str] = Counter()

    def add(self, trajectory: Trajectory) -> None:
        if not says_something(trajectory):
            return
        made = list(_until_passed(trajectory))
        kinds = [failure_kind(attempt.execution, attempt.completion) for attempt in made]
        for attempt, kind in zip(made, kinds, strict=True):
            if kind:
                self._every[kind] += 1
                self.cut += attempt.cut
                self.examples.setdefault(kind, (trajectory.trajectory_id, attempt.iteration))
        self._first.update(kind for kind in kinds[:1] if kind)
        if kinds[-1]:
            if not self._unsolved[kinds[-1]]:
                self.examples[kinds[-1]] = (trajectory.trajectory_id, made[-1].iteration)
            self._unsolved[kinds[-1]] += 1

    @property
    def rows(self) -> list[ErrorRow]:
        """The most frequent kind first."""
        return [ErrorRow(k, self._first[k], count, self._unsolved[k]) for k, count in self._every.most_common()]


class RepairTally:
    """What became of failing programs that were tried to repair."""

    def __init__(self) -> None:
        self._tried: Counter[tuple[str, int]] = Counter()
        self._fixed: Counter[tuple[str, int]] = Counter()
        self._same: Counter[str] = Counter()
        self._other: Counter[str] = Counter()

    def add(self, trajectory: Trajectory) -> None:
        if not says_something(trajectory):
            return
        for failing, following in pairwise(_until_passed(trajectory)):
            kind = failure_kind(failing.execution, failing.completion)
            after = failure_kind(following.execution, following.completion)
            self._tried[kind, failing.iteration] += 1
            self._fixed[kind, failing.iteration] += not after
            self._same[kind] += after == kind
            self._other[kind] += after not in ("", kind)

    @property
    def rows(self) -> list[RepairRow]:
        """Kinds of failure, the most frequent first."""
        tried, fixed = self._tried, self._fixed
        steps = range(max((iteration for _, iteration in tried), default=0) + 1)
        rows = [
            RepairRow(kind, [tried[kind, i] for i in steps], [fixed[kind, i] for i in steps], self._same[kind],
                      self._other[kind])
            for kind in self._same
        ]  # fmt: skip
        return sorted(rows, key=lambda row: (-sum(row.tried), row.name))


class _TrajectoryTally(Protocol):
    def add(self, trajectory: Trajectory) -> None: ...


T = TypeVar("T", bound=_TrajectoryTally)


def tallied(tally: T, trajectories: Iterable[Trajectory]) -> T:
    """The tally, after all of these."""
    for trajectory in trajectories:
        tally.add(trajectory)
    return tally


def iteration_rows(trajectories: Iterable[Trajectory], iterations: int | None = None) -> list[IterationRow]:
    """The rows of an `IterationTally` of these."""
    return tallied(IterationTally(), trajectories).rows(iterations)


def pass_rate_by_iteration(trajectories: Iterable[Trajectory], iterations: int) -> list[float]:
    """Share of trajectories that passed within 0, 1, ... `iterations` repairs (or further draws); [] without any."""
    return [row.pass_rate for row in iteration_rows(trajectories, iterations)]


def says_something(trajectory: Trajectory) -> bool:
    """Whether it is about the model: not where the tools failed."""
    return trajectory.status != "failed_tools" and bool(trajectory.attempts)


def _until_passed(trajectory: Trajectory) -> Iterator[Attempt]:
    for attempt in trajectory.attempts:
        yield attempt
        if attempt.execution.passed:
            return


class PairTally:
    """What is known of all pairs seen so far. `contamination`: (pair id, which benchmark tasks it is close to)."""

    def __init__(self) -> None:
        self.pairs = 0
        self.kept = 0
        self.origins: set[str] = set()
        self.contamination: list[tuple[str, str]] = []
        self._entered: Counter[str] = Counter()  # keeps the order of first sight, which is the filters' order
        self._reasons: dict[str, Counter[str]] = {}

    @classmethod
    def of(cls, pairs: Iterable[PreferencePair]) -> Self:
        tally = cls()
        for pair in pairs:
            tally.add(pair)
        return tally

    def kept_of(self, pairs: Iterable[PreferencePair]) -> Iterator[PreferencePair]:
        """The kept ones of these pairs, all of which are counted on the way."""
        for pair in pairs:
            self.add(pair)
            if pair.kept:
                yield pair

    def add(self, pair: PreferencePair) -> None:
        self.pairs += 1
        if pair.kept:
            self.kept += 1
            self.origins.add(pair.origin)
        alive = True
        for verdict in pair.filters:
            self._entered[verdict.name] += alive
            if alive and not verdict.kept:
                self._reasons.setdefault(verdict.name, Counter())[verdict.reason] += 1
                alive = False
            if verdict.name == "contamination" and verdict.reason:
                self.contamination.append((pair.pair_id, verdict.reason))

    @property
    def funnel(self) -> list[FilterRow]:
        """What each filter dropped, in the order in which they check; a pair goes at the first that rejects it."""
        rows = []
        for name, entered in self._entered.items():
            reasons = self._reasons.get(name, Counter())
            rows.append(FilterRow(name, entered, reasons.total(), entered - reasons.total(), reasons))
        return rows
