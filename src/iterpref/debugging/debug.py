"""Many tasks → their trajectories, several at a time, and counts of how it goes.

Finished ones are skipped, so that a killed run ends in the same records when it is run again. Not here: one task
(debugger.py).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from iterpref.clients.ask import as_finished
from iterpref.debugging.debugger import Debugger
from iterpref.errors import BudgetError, ClientError, EndpointError, RecordError, SandboxError
from iterpref.executor import NO_PROGRAM
from iterpref.records import Task, Trajectory


@dataclass
class DebugProgress:
    """Counts while debugging runs. `passed[i]`: tasks that passed first at iteration i; `left_out`: task id → why no
    model is asked about it; `empty_replies`: replies without a program, `empty_reply` one of them; `cut_replies`:
    replies that were cut at `max_tokens` before their program ended, and failed."""

    total: int
    passed: list[int]
    done: int = 0
    failed_tools: int = 0
    errors: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    empty_replies: int = 0
    empty_reply: str = ""
    cut_replies: int = 0

    @property
    def pass_rates(self) -> list[float]:
        """Share of the finished tasks that passed within i iterations, for each i."""
        return [sum(self.passed[: i + 1]) / max(1, self.done) for i in range(len(self.passed))]

    @property
    def note(self) -> str:
        """In counts: the first tasks to finish are those that passed, and their share would say too much."""
        by_iteration = " ".join(str(sum(self.passed[: i + 1])) for i in range(len(self.passed)))
        empty = f", {self.empty_replies} replies without a program" if self.empty_replies else ""
        cut = f", {self.cut_replies} failing replies cut at max_tokens" if self.cut_replies else ""
        return f"{sum(self.passed)} of {self.done} finished passed, by iteration: {by_iteration}{empty}{cut}"


async def debug(
    debugger: Debugger, tasks: Iterable[Task], total: int, on_progress: Callable[[DebugProgress], None] | None = None
) -> DebugProgress:
    """Debug many tasks, streamed.

    A task whose tools fail (the model can't answer, the sandbox is broken) is counted and doesn't stop the others.

    Raises:
        BudgetError: The budget is used up; tasks under way were ended first where that cost nothing.
        EndpointError: The endpoint answers nothing.
    """
    progress = DebugProgress(total=total, passed=[0] * (debugger.settings.max_iterations + 1))

    async def one(task: Task) -> Trajectory | str:
        try:
            return await debugger.run(task)
        except EndpointError:
            raise
        except (ClientError, RecordError, SandboxError) as error:
            return f"task {task.task_id}: {error}"

    try:
        async for outcome in as_finished(map(one, tasks), debugger.at_a_time):
            _count(progress, outcome)
            if on_progress:
                on_progress(progress)
    except BudgetError as error:
        raise BudgetError(f"{progress.done} of {total} tasks are finished; {error}") from None
    return progress


def _count(progress: DebugProgress, outcome: Trajectory | str) -> None:
    """Count a trajectory, or what kept a task from one."""
    progress.done += 1
    if isinstance(outcome, str):
        progress.failed_tools += 1
        progress.errors.append(outcome)
        return
    for attempt in outcome.attempts:
        if attempt.execution.error_type == NO_PROGRAM:
            progress.empty_replies += 1
            progress.empty_reply = progress.empty_reply or attempt.completion
        progress.cut_replies += attempt.cut and not attempt.execution.passed
    if outcome.status == "passed":
        # A trajectory of an earlier run with more iterations may have passed later than this run asks for.
        first = next(attempt.iteration for attempt in outcome.attempts if attempt.execution.passed)
        if first < len(progress.passed):
            progress.passed[first] += 1
    elif outcome.status == "failed_tools":
        progress.failed_tools += 1
        progress.errors.append(f"task {outcome.task_id}: the sandbox could not run its program; run again to retry")
