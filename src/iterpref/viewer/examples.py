"""A few kept pairs to look at, of different kinds of failure: what was asked, both programs, how it came about."""

from collections.abc import Iterator
from dataclasses import dataclass

from iterpref.analysis.taxonomy import failure_kind
from iterpref.records import Message, PreferencePair, as_messages
from iterpref.store import Store

from .diffs import sides_of
from .pair_facts import MOST_OF_A_KIND, PairFacts
from .steps import TrajectoryStep, feedback_on, trajectory_steps
from .texts import DiffLine

EXAMPLES = MOST_OF_A_KIND
_FEWEST = 3  # also where they are of fewer kinds
MOST_STEPS = 8  # of one trajectory


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


def examples(store: Store, facts: PairFacts) -> Examples:
    """Of each kind the pair with the smallest difference: one can see at once what it teaches."""
    by_kind = [[size[-2:] for size in facts.smallest[kind]] for kind, _ in facts.kinds.most_common()]
    pairs = [pair for pair_id in _chosen(by_kind) if (pair := store.pair(pair_id)) is not None]
    shown = [example_of(store, pair, facts.kinds[pair.error_type]) for pair in pairs]
    return Examples(shown, facts.kinds.total(), len(facts.kinds))


def _chosen(kinds: list[list[tuple[str, str]]]) -> Iterator[str]:
    """Ids of pairs, given with their tasks: of different tasks, one of each kind, then second ones, as far as there are
    too few."""
    tasks: set[str] = set()
    for place in range(EXAMPLES):
        for pairs in kinds:
            if len(tasks) >= (EXAMPLES if place == 0 else _FEWEST):
                return
            found = next((pair for pair in pairs if pair[1] not in tasks), None)
            if found is not None:
                tasks.add(found[1])
                yield found[0]


def example_of(store: Store, pair: PreferencePair, of_kind: int = 1) -> Example:
    """A pair with what there is to see of it."""
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
