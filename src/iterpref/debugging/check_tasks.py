"""Tasks → those that no model should be asked about, with the reason: their tests can't be right.

A task is left out when its tests show that no program can pass, or that every program does (`task_tests`), when it
needs a package that the sandbox lacks, or when its own reference fails. It stays in the run. Executions are cached, so
that checking again costs nothing.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from iterpref.clients.ask import as_finished
from iterpref.errors import RecordError
from iterpref.executor import Executor
from iterpref.opened_run import OpenedRun
from iterpref.records import Execution, Task
from iterpref.task_tests import problem_of
from iterpref.waiting import wait_for

AT_A_TIME = 64  # tasks whose references wait for the sandbox


@dataclass
class TaskCheck:
    """Counts of tasks checked, and of those that have a reference; `bad`: task id → cause."""

    total: int
    done: int = 0
    references: int = 0
    bad: dict[str, str] = field(default_factory=dict)

    @property
    def note(self) -> str:
        return f"{len(self.bad)} can't be used" if self.bad else ""


def check_run(run: OpenedRun) -> TaskCheck:
    """Check all tasks of a run in the sandbox."""
    with run.sandbox() as sandbox:
        total = run.store.count_tasks()
        work = check_each(run.store.tasks(), total, run.executor(sandbox), run.shows("check"))
        return wait_for(work)


async def check_each(
    tasks: Iterable[Task], total: int, executor: Executor, on_progress: Callable[[TaskCheck], None]
) -> TaskCheck:
    """Read the tests of tasks and run their references; a broken sandbox says nothing about a task."""
    check = TaskCheck(total)

    async def one(task: Task) -> tuple[Task, str | None]:
        return task, problem_of(task) or await _lacking(task, executor) or await _failing_reference(task, executor)

    async for task, cause in as_finished(map(one, tasks), AT_A_TIME):
        check.done += 1
        check.references += bool(task.reference)
        if cause:
            check.bad[task.task_id] = cause
        on_progress(check)
    return check


async def _lacking(task: Task, executor: Executor) -> str | None:
    """Which packages a task needs and programs here don't have: then every program would fail, also a right one."""
    lacking = await executor.lacking(task.packages)
    return f"needs {', '.join(lacking)}, which the sandbox's Python lacks; install it there" if lacking else None


async def _failing_reference(task: Task, executor: Executor) -> str | None:
    """Why a task's reference does not pass; None if it does, or if there is none."""
    if not task.reference:
        return None
    try:
        _, execution = await executor.execute(task, task.reference)
    except RecordError as error:
        return str(error)
    fine = execution.passed or execution.verdict == "sandbox_error"
    return None if fine else f"its reference does not pass: {_said(execution)}"


def _said(execution: Execution) -> str:
    places = f" ({execution.frames[-1].strip()})" if execution.frames else ""
    return f"{execution.headline or execution.verdict}{places}"
