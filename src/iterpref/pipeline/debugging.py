"""Tasks → trajectories: in this process, in shards, or with grading elsewhere."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from iterpref.clients import Budget, BudgetConfig
from iterpref.config import Config, DebuggingConfig
from iterpref.debugging.debug import Debugger, DebugProgress, debug
from iterpref.debugging.estimate import estimate
from iterpref.errors import StoreError
from iterpref.executor import Executor
from iterpref.parallel import Shard, run_many, shards_folder
from iterpref.run_folder import DATABASE
from iterpref.store import Store

from .opening import OnProgress, Opened, open_grading, quiet

T = TypeVar("T")


class DebuggingSteps(Opened):
    """What debugs the tasks of a run."""

    def debug(self, settings: DebuggingConfig | None = None) -> DebugProgress:
        """Tasks → trajectories."""
        settings = settings or self.config.debugging
        if self.config.parallel.backend != "serial" and self.config.parallel.what == "shards":
            self._debug_in_parallel(settings)
        tasks = self.store.tasks(settings.split)
        total = self.store.count_tasks(settings.split)
        if not total:
            where = f" of split {settings.split}" if settings.split else ""
            raise StoreError(f"{self.store.folder}: no tasks{where} to debug; import some first (iterpref import FILE)")
        with ExitStack() as tools:
            budget = Budget(self.config.budget, self.store)
            ledger = tools.enter_context(self.ledger(self.config.client, budget))
            repair = self.config.repair_client if settings.mode == "debugging" else None
            repair_ledger = tools.enter_context(self.ledger(repair, budget)) if repair else None
            sandbox = open_grading(self.config)
            tools.callback(sandbox.close)
            executor = Executor(sandbox, self.store, self.config.seed, self.config.limits)
            debugger = Debugger(ledger, executor, self.store, settings, self.config.seed, repair_ledger=repair_ledger)
            show = partial(self._show_debugging, settings.mode, budget)
            return asyncio.run(_with_threads(sandbox.workers, debug(debugger, tasks, total, show)))

    def _debug_in_parallel(self, settings: DebuggingConfig) -> None:
        """Debug in shards and bring them together; the pass over all tasks that follows finds nothing left to do."""
        parallel = self.config.parallel
        config = self.config.model_copy(update={"debugging": settings})
        parts = [Shard(number, parallel.shards) for number in range(1, parallel.shards + 1)]
        work = [(self.store.folder.resolve(), config, part) for part in parts]
        try:
            for done, _ in enumerate(run_many(_debug_one_shard, work, parallel.backend, parallel.workers), start=1):
                self.on_progress("shards", done, parallel.shards, "")
        finally:  # what the others finished counts, also where one had to stop
            merge_shards(self.store)

    def estimate_debugging(self) -> dict[str, int | float | str]:
        """Calls and US dollars that `debug` would take; makes no call."""
        return estimate(self.store, self.config.debugging, self.config.client, self.config.repair_client)

    def _show_debugging(self, mode: str, budget: Budget, progress: DebugProgress) -> None:
        rates = " ".join(f"{rate:.0%}" for rate in progress.pass_rates)
        spent = f", {budget.calls} calls, ${budget.usd:.3f}" if budget.calls else ""
        self.on_progress(mode, progress.done, progress.total, f"passed by iteration: {rates}{spent}")


def debug_shard(
    folder: Path, config: Config, shard: Shard, on_progress: OnProgress = quiet, wait_s: float = 0.0
) -> DebugProgress:
    """Debug one part of a run's tasks into a database of its own, `shards/<part>`; the run itself is only read.

    A part gets its share of what is left of the budget.
    """
    own = shard.folder(folder)
    with Store.open(folder, write=False) as whole, Store.open(own, wait_s=wait_s) as store:
        store.put_tasks(task for task in whole.tasks(config.debugging.split) if shard.holds(task.task_id))
        store.absorb(folder)
        if not store.count_tasks():
            return DebugProgress(total=0, passed=[])
        here = {
            "budget": _share(config.budget, *whole.spending(), shard.count),
            "parallel": config.parallel.model_copy(update={"backend": "serial"}),
        }
        return DebuggingSteps(store, config.model_copy(update=here), on_progress).debug()


def _share(budget: BudgetConfig, calls: int, usd: float, shards: int) -> BudgetConfig:
    """The budget of one shard, which starts from what the run has spent."""
    most_calls, most_usd = budget.max_calls, budget.max_budget_usd
    return BudgetConfig(
        max_calls=None if most_calls is None else calls + max(0, most_calls - calls) // shards,
        max_budget_usd=None if most_usd is None else usd + max(0.0, most_usd - usd) / shards,
    )


def merge_shards(store: Store) -> dict[str, int]:
    """Bring the shards' records into the run; may be repeated.

    Raises:
        StoreError: There are none, or one is still being written.
    """
    folders = sorted(path.parent for path in shards_folder(store.folder).glob(f"*/{DATABASE}"))
    if not folders:
        raise StoreError(f"{store.folder}: no shards to merge; make some with iterpref debug --shard 1/4 (2/4, ...)")
    for folder in folders:
        with Store.open(folder):  # nobody writes to it now
            store.absorb(folder)
    return {
        "shards": len(folders),
        "tasks": store.count_tasks(),
        "trajectories": store.count("trajectories"),
        "calls": store.count("calls"),
    }


def _debug_one_shard(work: tuple[Path, Config, Shard]) -> None:
    """For a worker process, which may follow one that died a moment ago."""
    debug_shard(*work, wait_s=60.0)


async def _with_threads(count: int, work: Coroutine[Any, Any, T]) -> T:
    """Await work whose executions wait in threads: asyncio alone has a few more than cores, too few for a cluster."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(count + 4, thread_name_prefix="grading"))
    return await work
