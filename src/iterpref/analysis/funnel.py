"""From tasks to pairs in numbers: what passed after how many repairs, what failed how, which filter dropped what.

In: trajectories and pairs, streamed; each function reads them once. Out: plain rows, for a table.
Trajectories whose tools failed say nothing about the model and are left out.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate

from iterpref.analysis.taxonomy import failure_kind
from iterpref.records import Attempt, Trajectory


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
        first = next((a.iteration for a in trajectory.attempts if a.execution.passed), None)
        if first is not None:
            passed[first] += 1
        calls.update(a.iteration for a in trajectory.attempts if first is None or a.iteration <= first)
    if not count:
        return []
    last = max(calls) if iterations is None else iterations
    passed_by = accumulate(passed[i] for i in range(last + 1))
    calls_by = accumulate(calls[i] for i in range(last + 1))
    rows = enumerate(zip(passed_by, calls_by, strict=True))
    return [IterationRow(i, total_passed, total_calls, count) for i, (total_passed, total_calls) in rows]


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
