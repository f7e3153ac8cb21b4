"""Two programs for one task side by side: of two models, of two runs, of two attempts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from iterpref.analysis import Comparison
from iterpref.feedback import feedback_text
from iterpref.records import Execution, Result, Sample

from .diffs import beside
from .texts import DiffLine


@dataclass(frozen=True)
class SideProgram:
    """A program and its outcome; `address` is where a live page has more of it."""

    title: str
    program: str
    execution: Execution
    address: str = ""

    @property
    def said(self) -> str:
        """What its tests said."""
        return "passed" if self.execution.passed else feedback_text(self.execution)


@dataclass(frozen=True)
class Side:
    """One of two programs, with its lines."""

    of: SideProgram
    lines: list[DiffLine]


Sides = tuple[Side, Side]


@dataclass(frozen=True)
class TaskSides:
    """A task that only one of two models solved, and what was said of the other's program."""

    task_id: str
    sides: Sides
    said: str


@dataclass(frozen=True)
class Outcomes:
    """The first of the tasks that the second of two models won, and of those that it lost."""

    won: list[TaskSides]
    lost: list[TaskSides]


def two_sides(first: SideProgram, second: SideProgram) -> Sides:
    """Both with the lines in which their programs differ."""
    lines = beside(first.program, second.program)
    return Side(first, lines[0]), Side(second, lines[1])


def outcomes(
    found: Comparison, first: Result, second: Result, most: int, labels: Mapping[str, str] | None = None
) -> Outcomes:
    """The first `most` tasks of each list, with both programs; of several samples those that tell the two apart."""
    wanted = {*found.won[:most], *found.lost[:most]}
    samples = _of_tasks(first, wanted), _of_tasks(second, wanted)
    titles = [(labels or {}).get(name, name) for name in (found.first, found.second)]

    def sides(task_id: str, won: bool) -> TaskSides:
        telling = [_telling(of[task_id], passed) for of, passed in zip(samples, (not won, won), strict=True)]
        one, other = (SideProgram(title, s.program, s.execution) for title, s in zip(titles, telling, strict=True))
        return TaskSides(task_id, two_sides(one, other), (one if won else other).said)

    won, lost = found.won[:most], found.lost[:most]
    return Outcomes([sides(name, True) for name in won], [sides(name, False) for name in lost])


def _of_tasks(result: Result, wanted: set[str]) -> dict[str, list[Sample]]:
    found: dict[str, list[Sample]] = {}
    for sample in result.samples:
        if sample.task_id in wanted:
            found.setdefault(sample.task_id, []).append(sample)
    return found


def _telling(samples: Sequence[Sample], passed: bool) -> Sample:
    return next((sample for sample in samples if sample.execution.passed == passed), samples[0])
