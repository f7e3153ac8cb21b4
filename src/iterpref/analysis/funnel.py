"""From tasks to pairs in numbers: what passed after how many repairs, what failed how, which filter dropped what.

Trajectories and pairs are streamed, and each is read once.
Trajectories whose tools failed say nothing about the model and are left out.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Self

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


def iteration_rows(trajectories: Iterable[Trajectory], iterations: int | None = None) -> list[IterationRow]:
    """One row per iteration 0 to `iterations` (default: the last one that anything reached); [] without trajectories.

    Debugging and sampling read alike: `calls` counts attempts, and a trajectory ends where it passes. A trajectory that
    ended unsolved before `iterations` stays unsolved.
    """
    passed: Counter[int] = Counter()
    calls: Counter[int] = Counter()
    count = 0
    for trajectory in _judged(trajectories):
        count += 1
        made = list(_until_passed(trajectory))
        passed[made[-1].iteration] += made[-1].execution.passed
        calls.update(attempt.iteration for attempt in made)
    if not count:
        return []
    last = max(calls) if iterations is None else iterations
    passed_by = accumulate(passed[i] for i in range(last + 1))
    calls_by = accumulate(calls[i] for i in range(last + 1))
    return [IterationRow(i, *totals, count) for i, totals in enumerate(zip(passed_by, calls_by, strict=True))]


def pass_rate_by_iteration(trajectories: Iterable[Trajectory], iterations: int) -> list[float]:
    """Share of trajectories that passed within 0, 1, ... `iterations` repairs (or further draws); [] without any."""
    return [row.pass_rate for row in iteration_rows(trajectories, iterations)]


def error_types(trajectories: Iterable[Trajectory]) -> list[ErrorRow]:
    """How programs failed, the most frequent kind first; attempts after the first pass don't count."""
    first: Counter[str] = Counter()
    every: Counter[str] = Counter()
    unsolved: Counter[str] = Counter()
    for trajectory in _judged(trajectories):
        kinds = [failure_kind(attempt.execution, attempt.completion) for attempt in _until_passed(trajectory)]
        failures = [kind for kind in kinds if kind]
        every.update(failures)
        first.update(kind for kind in kinds[:1] if kind)
        unsolved.update(kind for kind in kinds[-1:] if kind)
    return [ErrorRow(name, first[name], count, unsolved[name]) for name, count in every.most_common()]


def repairs(trajectories: Iterable[Trajectory]) -> list[RepairRow]:
    """Kinds of failure that were tried to repair, the most frequent first."""
    tried: Counter[tuple[str, int]] = Counter()
    fixed: Counter[tuple[str, int]] = Counter()
    same: Counter[str] = Counter()
    other: Counter[str] = Counter()
    for trajectory in _judged(trajectories):
        for failing, following in pairwise(_until_passed(trajectory)):
            kind = failure_kind(failing.execution, failing.completion)
            after = failure_kind(following.execution, following.completion)
            tried[kind, failing.iteration] += 1
            fixed[kind, failing.iteration] += not after
            same[kind] += after == kind
            other[kind] += after not in ("", kind)
    steps = range(max((iteration for _, iteration in tried), default=0) + 1)
    rows = [
        RepairRow(kind, [tried[kind, i] for i in steps], [fixed[kind, i] for i in steps], same[kind], other[kind])
        for kind in same
    ]
    return sorted(rows, key=lambda row: (-sum(row.tried), row.name))


def calls_per_pair(trajectories: Iterable[Trajectory], pairs: int) -> float | None:
    """Model calls spent for each finished pair (paper: about 10.4); None without pairs."""
    calls = sum(len(trajectory.attempts) for trajectory in trajectories)
    return calls / pairs if pairs else None


def _judged(trajectories: Iterable[Trajectory]) -> Iterator[Trajectory]:
    return (t for t in trajectories if t.status != "failed_tools" and t.attempts)


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
