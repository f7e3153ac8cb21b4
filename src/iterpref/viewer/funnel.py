"""From tasks to kept pairs in a few counts, cheap at a hundred thousand tasks: the funnel of both viewers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from iterpref.store import OriginCounts, PairFilter, Store


@dataclass(frozen=True)
class FunnelStep:
    """One step of the funnel: how many, of how many before it, and where a live page lists them."""

    name: str
    count: int
    of: int | None
    path: str
    query: dict[str, Any]

    @property
    def share(self) -> float | None:
        return self.count / self.of if self.of else None

    @property
    def fortieths(self) -> int:
        """The length of its bar."""
        return round(40 * (self.share if self.share is not None else 1.0)) if self.count else 0


def funnel_steps(store: Store, origins: Sequence[OriginCounts]) -> list[FunnelStep]:
    """The steps of debugging (or of recorded runs, where there is none), then those of pairs."""
    tasks = store.count("tasks")
    main = next((found for found in origins if found.origin != "sampling"), None)
    steps = [FunnelStep("tasks", tasks, None, "/tasks", {})]
    if main is not None:
        first = main.passed_at.get(0, 0)
        passed = sum(main.passed_at.values())
        of = {"origin": main.origin}
        steps += [
            FunnelStep(f"tried ({main.origin})", sum(main.statuses.values()), tasks, "/tasks", of),
            FunnelStep("passed at once", first, main.judged, "/tasks", {**of, "status": "passed", "attempts": "1"}),
            FunnelStep("passed in the end", passed, main.judged, "/tasks", {**of, "status": "passed"}),
        ]
    candidates = store.count_listed_pairs(PairFilter())
    steps.append(FunnelStep("candidate pairs", candidates, None, "/pairs", {}))
    steps.append(FunnelStep("kept pairs", store.count_kept_pairs(), candidates, "/pairs", {"kept": "kept"}))
    return steps
