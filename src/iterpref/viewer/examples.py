"""A few kept pairs to look at: what was asked, what failed, and both programs with their focal lines marked."""

from collections.abc import Sequence
from dataclasses import dataclass

from iterpref.debugging.feedback import feedback_text
from iterpref.records import PreferencePair, Span, as_messages
from iterpref.store import Store

EXAMPLES = 3


@dataclass(frozen=True)
class Line:
    """One line without its newline; `focal` when a span covers any of it."""

    text: str
    focal: bool


@dataclass(frozen=True)
class Example:
    """A pair to look at: D⁻ and D⁺ are the focal lines of the two sides."""

    pair: PreferencePair
    prompt: str
    feedback: str
    rejected: list[Line]
    chosen: list[Line]


def examples(store: Store) -> list[Example]:
    """Kept pairs of different tasks, of different error types as far as there are."""
    by_error: dict[str, PreferencePair] = {}
    by_task: dict[str, PreferencePair] = {}
    for pair in store.pairs(kept=True):
        if pair.task_id not in by_task and len(by_task) < EXAMPLES:
            by_task[pair.task_id] = pair
        if pair.error_type not in by_error and pair.task_id not in {p.task_id for p in by_error.values()}:
            by_error[pair.error_type] = pair
        if len(by_error) == EXAMPLES:
            break
    taken = list(by_error.values())
    taken += [pair for task_id, pair in by_task.items() if task_id not in {p.task_id for p in taken}]
    return [_example(store, pair) for pair in taken[:EXAMPLES]]


def _example(store: Store, pair: PreferencePair) -> Example:
    trajectory = store.trajectory(pair.trajectory_id) if pair.trajectory_id else None
    attempts = trajectory.attempts if trajectory else ()
    failed = next((a for a in attempts if a.iteration == pair.rejected_iteration), None)
    return Example(
        pair=pair,
        prompt="\n\n".join(message.content for message in as_messages(pair.prompt)),
        feedback=(failed.feedback or feedback_text(failed.execution)) if failed else "",
        rejected=highlighted(pair.rejected, pair.rejected_spans),
        chosen=highlighted(pair.chosen, pair.chosen_spans),
    )


def highlighted(text: str, spans: Sequence[Span]) -> list[Line]:
    """The lines of `text`, split at newlines only; a span that holds just a line's newline marks the line, too."""
    lines: list[Line] = []
    start = 0
    for part in text.split("\n"):
        stop = start + len(part) + 1
        lines.append(Line(part, any(span.start < stop and span.stop > start for span in spans)))
        start = stop
    return lines
