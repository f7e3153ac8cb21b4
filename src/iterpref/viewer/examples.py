"""A few kept pairs to look at, of different kinds of failure: what was asked, both programs, how it came about."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from iterpref.analysis.taxonomy import failure_kind
from iterpref.records import Message, PreferencePair, as_messages
from iterpref.store import Store

from .diffs import sides_of
from .steps import TrajectoryStep, feedback_on, trajectory_steps
from .texts import DiffLine

EXAMPLES = 5
_FEWEST = 3  # also where they are of fewer kinds
MOST_STEPS = 8  # of one trajectory
_Size = tuple[bool, int, int, str, str]


@dataclass(frozen=True)
class Example:
    """A pair to look at. `steps` are the first of its trajectory's `attempts`; without any, it was imported."""

    pair: PreferencePair
    kind: str
    of_kind: int
    messages: tuple[Message, ...]
    feedback: str
    rejected: list[DiffLine]
    chosen: list[DiffLine]
    steps: list[TrajectoryStep]
    attempts: int


@dataclass(frozen=True)
class Examples:
    """Some of `kept` pairs, the most frequent of `kinds` kinds of failure first."""

    shown: list[Example]
    kept: int
    kinds: int


def examples(store: Store) -> Examples:
    """Of each kind the pair with the smallest difference: one can see at once what it teaches."""
    kinds: Counter[str] = Counter()
    small: dict[str, list[_Size]] = {}
    for pair in store.pairs(kept=True):
        kinds[pair.error_type] += 1
        small[pair.error_type] = sorted([*small.get(pair.error_type, ()), _size(pair)])[:EXAMPLES]
    chosen = list(_chosen([small[kind] for kind, _ in kinds.most_common()]))
    pairs = [pair for pair_id in chosen if (pair := store.pair(pair_id)) is not None]
    return Examples([_example(store, pair, kinds[pair.error_type]) for pair in pairs], kinds.total(), len(kinds))


def _size(pair: PreferencePair) -> _Size:
    """By which pairs are ordered: those without a wrong line last."""
    lines = len(pair.rejected_spans) + len(pair.chosen_spans)
    return not pair.rejected_spans, lines, len(pair.rejected) + len(pair.chosen), pair.pair_id, pair.task_id


def _chosen(kinds: list[list[_Size]]) -> Iterator[str]:
    """Ids of pairs of different tasks: one of each kind, then second ones, as far as there are too few."""
    tasks: set[str] = set()
    for place in range(EXAMPLES):
        for pairs in kinds:
            if len(tasks) >= (EXAMPLES if place == 0 else _FEWEST):
                return
            found = next((pair for pair in pairs if pair[-1] not in tasks), None)
            if found is not None:
                tasks.add(found[-1])
                yield found[-2]


def _example(store: Store, pair: PreferencePair, of_kind: int) -> Example:
    trajectory = store.trajectory(pair.trajectory_id) if pair.trajectory_id else None
    attempts = trajectory.attempts if trajectory else ()
    failed = next((a for a in attempts if a.iteration == pair.rejected_iteration), None)
    rejected, chosen = sides_of(pair.rejected, pair.chosen, pair.rejected_spans, pair.chosen_spans)
    return Example(
        pair=pair,
        kind=failure_kind(failed.execution, failed.completion) if failed else pair.error_type,
        of_kind=of_kind,
        messages=as_messages(pair.prompt),
        feedback=feedback_on(failed) if failed else "",
        rejected=rejected,
        chosen=chosen,
        steps=trajectory_steps(attempts, MOST_STEPS),
        attempts=len(attempts),
    )
