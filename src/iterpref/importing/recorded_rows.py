"""One row of a recorded debugging run → a Task and the versions that a model wrote for it.

Two formats: `recorded` (docs/import.md lists its fields: the task with its test text, versions with the verdict they
had where they were recorded) and `export` (a Task and a Trajectory of ours). Both become a `RecordedRun`.
Not here: executing the versions (`recorded.py`).
"""

import re
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from iterpref.errors import RecordError
from iterpref.programs import parses
from iterpref.records import ExportedTrajectory, Limits, Origin, Task, TestFile, Verdict, fingerprint
from iterpref.rows import SourceRow, explain

Status = Literal["pass", "fail", "timeout", "killed"]

# What programs written for HumanEval and MBPP expect to find imported. Star imports because recorded programs were
# verified with them: some call `combinations` or `factorial`, or annotate with `List`, and import none of these. The
# built-in `pow` and `compile`, which two of these modules hide, are put back: `pow(a, b, m)` is more common.
PREAMBLE = """\
import collections
import heapq
import itertools
import math
import re
import typing
from collections import *
from heapq import *
from itertools import *
from math import *
from re import *
from typing import *
from builtins import compile, pow
"""

# Recorded verdicts were reached under four seconds; CPU time here, so that a busy machine changes no verdict.
RECORDED_LIMITS = Limits(cpu_s=4.0, wall_s=20.0)


@dataclass(frozen=True)
class Version:
    """One program of a run with what was recorded about it."""

    iteration: int
    program: str
    completion: str
    feedback: str | None
    status: Status
    error_type: str
    call_id: str = ""
    cut: bool = False


@dataclass(frozen=True)
class RecordedRun:
    """A recorded trajectory before its versions are executed here."""

    trajectory_id: str
    task: Task
    versions: tuple[Version, ...]
    client: str
    seed: int = 0
    origin: Origin = "import"


class _Row(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class _Verified(_Row):
    passed: bool
    status: Status
    error_type: str | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.passed != (self.status == "pass"):
            raise ValueError(f"passed is {str(self.passed).lower()}, but status is {self.status}")
        return self


class _Version(_Row):
    step: Annotated[int, Field(ge=0)]
    code: str
    verified: _Verified
    feedback: str | None = None
    cut: bool = False


class _RecordedRow(_Row):
    task_id: str
    prompt: str
    test: str
    versions: Annotated[list[_Version], Field(min_length=1)]
    entry_point: str | None = None
    id: str | None = None
    model: str = ""
    benchmark: str = ""
    license: str = ""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        steps = [version.step for version in self.versions]
        if steps != sorted(set(steps)):
            raise ValueError(f"the steps of the versions are {steps}; expected them ascending, each once")
        return self


def parse_run(row: SourceRow) -> RecordedRun:
    """Read a row of either format.

    Raises:
        RecordError: A field is missing or of the wrong type, or the task has no tests.
    """
    try:
        if row.values.keys() >= {"task", "trajectory"}:
            return _exported(row.where, ExportedTrajectory.model_validate(row.values))
        return _recorded(_RecordedRow.model_validate(row.values))
    except ValidationError as error:
        name = row.values.get("id")
        raise explain(f"{row.where} ({name})" if isinstance(name, str) else row.where, error) from None


def _recorded(row: _RecordedRow) -> RecordedRun:
    versions = tuple(
        Version(v.step, v.code, v.code, v.feedback, v.verified.status, v.verified.error_type or "", cut=v.cut)
        for v in row.versions
    )
    return RecordedRun(
        trajectory_id=row.id or f"{row.task_id}:import:{fingerprint([row.prompt, [v.program for v in versions]])[:8]}",
        task=Task(
            task_id=row.task_id,
            prompt=row.prompt,
            tests=(TestFile(path="test.py", content=row.test),),
            style="check" if re.search(r"^def check\(", row.test, re.MULTILINE) else "assert",
            entry_point=row.entry_point,
            prefix=PREAMBLE + _context(row.prompt, row.entry_point),
            limits=RECORDED_LIMITS,
            origin=row.benchmark,
            license=row.license,
        ),
        versions=versions,
        client=row.model,
    )


def _context(prompt: str, entry_point: str | None) -> str:
    """What a code prompt defines above the function asked for: HumanEval's tests call some of these helpers."""
    asked = re.search(rf"^def {re.escape(entry_point)}\b", prompt, re.MULTILINE) if entry_point else None
    above = prompt[: asked.start()].strip() if asked else ""
    return f"{above}\n" if above and parses(above) else ""


def _exported(where: str, row: ExportedTrajectory) -> RecordedRun:
    task, trajectory = row.task, row.trajectory
    if trajectory.task_id != task.task_id:
        raise RecordError(f"{where}: the trajectory is of task {trajectory.task_id}, but the task is {task.task_id}")
    if not trajectory.attempts:
        raise RecordError(f"{where}: trajectory {trajectory.trajectory_id} has no attempts")
    versions = tuple(
        Version(
            iteration=attempt.iteration,
            program=attempt.program,
            completion=attempt.completion,
            feedback=attempt.feedback,
            status=status_of(attempt.execution.verdict),
            error_type=attempt.execution.error_type,
            call_id=attempt.call_id,
            cut=attempt.cut,
        )
        for attempt in trajectory.attempts
    )
    return RecordedRun(trajectory.trajectory_id, task, versions, trajectory.client, trajectory.seed, trajectory.origin)


def status_of(verdict: Verdict) -> Status:
    """A verdict in the coarser words of recorded runs."""
    if verdict in ("out_of_memory", "output_limit", "crashed"):
        return "killed"
    names: dict[str, Status] = {"passed": "pass", "timeout": "timeout"}
    return names.get(verdict, "fail")
