"""What arms train on: sets of pairs, all made of the same seed's trajectories. A line in `PAIRS` for each.

    debugging       chosen: the program that passes at last; rejected: those before it (the paper's)
    swapped         the same with sides exchanged: a control, whose gain cannot come from the direction
    sampling        passing × failing independent draws (Code-Optimise's and PLUM's pairs)
    passing         each passing draw, for sft: rejection sampling
    references      the solution that comes with the task, for sft: other data

Of draws there are as many calls a task as debugging may make.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from iterpref.config import PairingConfig
from iterpref.line_diff import DIFF_VERSION
from iterpref.pairing import make_pairs
from iterpref.pairing.pair import Path
from iterpref.programs import fenced
from iterpref.records import PreferencePair, Task, as_messages, fingerprint
from iterpref.store import Store

Origin = Literal["debugging", "sampling"]


@dataclass(frozen=True)
class Source:
    """What pairs are made of: a store with trajectories; with `path` D⁻ is cut down to lines that ran."""

    store: Store
    settings: PairingConfig
    seed: int
    path: Path | None = None


Make = Callable[[Source], Iterable[PreferencePair]]


@dataclass(frozen=True)
class PairSet:
    """`one_sided`: there is no rejected side, so that only sft can learn it."""

    make: Make
    origin: Origin
    one_sided: bool = False


def _kept(source: Source) -> Iterator[PreferencePair]:
    made = make_pairs(source.store, source.settings, source.seed, path=source.path)
    return (pair for pair in made if pair.kept)


def _of_draws(source: Source) -> Iterator[PreferencePair]:
    return _kept(replace(source, settings=source.settings.model_copy(update={"source": "sampling"})))


def _swapped(source: Source) -> Iterator[PreferencePair]:
    return map(swapped, _kept(source))


def swapped(pair: PreferencePair) -> PreferencePair:
    """The pair the wrong way round; its D⁻ is then what the fix added."""
    sides = {
        "chosen": pair.rejected,
        "rejected": pair.chosen,
        "chosen_spans": pair.rejected_spans,
        "rejected_spans": pair.chosen_spans,
    }
    return pair.model_copy(update=sides)


def _passing(source: Source) -> Iterator[PreferencePair]:
    """Each distinct passing draw of a task once."""
    for trajectory in source.store.trajectories("sampling"):
        task = source.store.task(trajectory.task_id)
        programs = dict.fromkeys(a.program for a in trajectory.attempts if a.execution.passed)
        yield from (alone(task, program, f"{trajectory.trajectory_id}#{i}") for i, program in enumerate(programs))


def _references(source: Source) -> Iterator[PreferencePair]:
    return (alone(task, task.reference, task.task_id) for task in source.store.tasks() if task.reference)


def alone(task: Task, program: str, pair_id: str) -> PreferencePair:
    """A pair for sft, which reads its chosen side only; the same stands on the other, for a side may not be empty."""
    text = fenced(program)
    return PreferencePair(
        pair_id=pair_id, task_id=task.task_id, prompt=as_messages(task.prompt), chosen=text, rejected=text,
        chosen_spans=(), rejected_spans=(), diff="none", diff_version=DIFF_VERSION, render_template="fenced_python",
    )  # fmt: skip


PAIRS: dict[str, PairSet] = {
    "debugging": PairSet(_kept, "debugging"),
    "swapped": PairSet(_swapped, "debugging"),
    "sampling": PairSet(_of_draws, "sampling"),
    "passing": PairSet(_passing, "sampling", one_sided=True),
    "references": PairSet(_references, "debugging", one_sided=True),
}


def drawn(pairs: list[PreferencePair], count: int) -> list[PreferencePair]:
    """So many of the pairs, by a hash of their ids; in the order that they had."""
    chosen = {pair.pair_id for pair in sorted(pairs, key=lambda pair: fingerprint(pair.pair_id))[:count]}
    return [pair for pair in pairs if pair.pair_id in chosen]
