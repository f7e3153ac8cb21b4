"""The attempts of one trajectory as both viewers show them: what was said of each, and how the next one differs."""

from collections.abc import Sequence
from dataclasses import dataclass

from iterpref.analysis.taxonomy import failure_kind
from iterpref.feedback import feedback_text
from iterpref.records import Attempt

from .diffs import beneath
from .texts import DiffLine


@dataclass(frozen=True)
class TrajectoryStep:
    """One attempt; `said` is "" where it passed, `diff` leads to attempt `next`, and both are None after the last."""

    attempt: Attempt
    kind: str
    said: str
    diff: list[DiffLine] | None
    next: int | None


def trajectory_steps(attempts: Sequence[Attempt], most: int | None = None) -> list[TrajectoryStep]:
    """All attempts, or the first `most`."""
    shown = attempts[:most]
    return [_step(attempt, attempts[at] if at < len(attempts) else None) for at, attempt in enumerate(shown, start=1)]


def _step(attempt: Attempt, after: Attempt | None) -> TrajectoryStep:
    return TrajectoryStep(
        attempt=attempt,
        kind=failure_kind(attempt.execution, attempt.completion),
        said="" if attempt.execution.passed else feedback_text(attempt.execution),
        diff=beneath(attempt.program, after.program) if after is not None else None,
        next=after.iteration if after is not None else None,
    )


def feedback_on(attempt: Attempt) -> str:
    """What was said of an attempt: the feedback that a model read, or would have."""
    return attempt.feedback or feedback_text(attempt.execution)
