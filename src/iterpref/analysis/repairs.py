"""Which kinds of failure does debugging repair, in which iteration, and what does a pair cost?

In: trajectories, streamed, and what their calls cost. Out: rows for tables. A failing attempt counts as repaired where
the attempt after it passes. Not here: pass rates and filters (funnel.py).
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

from iterpref.analysis.taxonomy import failure_kind
from iterpref.records import Trajectory


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


@dataclass
class _Counts:
    tried: Counter[int] = field(default_factory=Counter)
    fixed: Counter[int] = field(default_factory=Counter)
    same: int = 0
    other: int = 0


def repairs(trajectories: Iterable[Trajectory]) -> list[RepairRow]:
    """Kinds of failure that were tried to repair, the most frequent first."""
    counts: dict[str, _Counts] = {}
    last = 0
    for trajectory in trajectories:
        if trajectory.status == "failed_tools":
            continue
        for failing, following in pairwise(trajectory.attempts):
            kind = failure_kind(failing.execution, failing.completion)
            if not kind:
                break  # solved; a recorded run may go on
            row = counts.setdefault(kind, _Counts())
            row.tried[failing.iteration] += 1
            after = failure_kind(following.execution, following.completion)
            row.fixed[failing.iteration] += not after
            row.same += after == kind
            row.other += bool(after) and after != kind
            last = max(last, failing.iteration)
    ordered = sorted(counts.items(), key=lambda item: (-item[1].tried.total(), item[0]))
    steps = range(last + 1)
    return [
        RepairRow(name, [row.tried[i] for i in steps], [row.fixed[i] for i in steps], row.same, row.other)
        for name, row in ordered
    ]
