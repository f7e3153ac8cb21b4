"""The tasks of an opened run → trajectories, with the models, the sandbox and the budget that its configuration names.

Not here: the loop over one task (debug.py), parts of the tasks in databases of their own (shards.py).
"""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, TypeVar

from iterpref.clients import Budget
from iterpref.debugging.check_tasks import check_each
from iterpref.debugging.debug import DebugProgress, debug
from iterpref.debugging.debugger import Debugger, Feedback
from iterpref.errors import StoreError
from iterpref.opened_run import OpenedRun
from iterpref.waiting import wait_for

T = TypeVar("T")


def check_tasks(run: OpenedRun) -> int:
    """How many tasks there are to debug.

    Raises:
        StoreError: None.
    """
    split = run.config.debugging.split
    total = run.store.count_tasks(split)
    if not total:
        where = f" of split {split}" if split else ""
        raise StoreError(f"{run.store.folder}: no tasks{where} to debug; import some first (iterpref import FILE)")
    return total


def debug_tasks(run: OpenedRun, feedback: Feedback | None = None) -> DebugProgress:
    """Debug the run's tasks from this process; costs nothing where that is done.

    Args:
        feedback: What a model reads before it tries again, instead of `debugging.feedback`: an experiment's control. It
            is no part of a trajectory's identity, so it needs a run of its own.

    Raises:
        StoreError: There are no tasks.
        BudgetError, EndpointError: It must stop; what was paid for is stored.
    """
    settings = run.config.debugging
    total = check_tasks(run)
    prompts, budget = run.prompts, run.budget()

    def show(progress: DebugProgress) -> None:
        run.on_progress(settings.mode, progress.done, progress.total, f"{progress.note}{_spent(budget)}")

    with ExitStack() as tools:
        ledger = tools.enter_context(run.ledger(run.config.client, budget))
        repair = run.config.repair_client if settings.mode == "debugging" else None
        repair_ledger = tools.enter_context(run.ledger(repair, budget)) if repair else None
        sandbox = run.grading_sandbox()
        tools.callback(sandbox.close)
        executor = run.executor(sandbox)
        debugger = Debugger(ledger, executor, run.store, settings, run.config.seed, feedback, repair_ledger, prompts)
        return wait_for(with_threads(sandbox.workers, _checked(run, debugger, total, show)))


async def _checked(
    run: OpenedRun, debugger: Debugger, total: int, show: Callable[[DebugProgress], None]
) -> DebugProgress:
    """Debug the tasks that some program can pass; nothing is paid for the others."""
    split = debugger.settings.split
    open_tasks = (task for task in run.store.tasks(split) if debugger.closed(task) is None)
    left = max(0, total - run.store.count_finished(debugger.settings.mode))
    bad = (await check_each(open_tasks, left, debugger.executor, run.shows("check"))).bad
    good = (task for task in run.store.tasks(split) if task.task_id not in bad)
    progress = await debug(debugger, good, total - len(bad), show)
    progress.left_out = bad
    return progress


def _spent(budget: Budget) -> str:
    return f", {budget.spent}" if budget.calls else ""


async def with_threads(count: int, work: Coroutine[Any, Any, T]) -> T:
    """Await work whose executions wait in threads: asyncio alone has a few more than cores, too few for a cluster."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(count + 4, thread_name_prefix="grading"))
    return await work
