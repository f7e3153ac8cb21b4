"""How a program was repaired, attempt by attempt."""

from typing import Literal

from .base import Record
from .execution import Execution
from .task import Task

Origin = Literal["debugging", "sampling", "import"]


class Attempt(Record):
    """One program and what its tests said.

    `iteration` counts from 0, the first program. `completion` is the model's whole reply (of a program that came with
    its task, that program), `program` the code in it, `execution` what its tests said, `call_id` the call it came from.
    `feedback` is the text shown to the model for the next attempt, None after the last one. `cut`: the reply was cut at
    `max_tokens` before its program ended (docs/data.md); where that isn't known, it is False.
    """

    iteration: int
    program: str
    completion: str
    execution: Execution
    call_id: str = ""
    feedback: str | None = None
    cut: bool = False


class Trajectory(Record):
    """All attempts at one task, in order: a debugging trajectory of arXiv:2503.02783, or independent draws.

    `trajectory_id` is unique in a run. `status`: `passed`, `unresolved` (no attempt passes), or `failed_tools` (the
    sandbox broke, which says nothing about the program). `client` names the model, `origin` how the `attempts` at
    `task_id` came about. `seed` tells repeated trajectories of one client apart.
    """

    trajectory_id: str
    task_id: str
    attempts: tuple[Attempt, ...]
    status: Literal["passed", "unresolved", "failed_tools"]
    client: str = ""
    seed: int = 0
    origin: Origin = "debugging"


class ExportedTrajectory(Record):
    """One line of our own export: a trajectory with its task, so that the file stands alone."""

    task: Task
    trajectory: Trajectory
