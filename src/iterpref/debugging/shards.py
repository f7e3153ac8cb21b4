"""Debugging in shards: parts of a run's tasks, each with a database of its own, on this machine or on a cluster.

A shard reads the run and writes its own folder; merging copies the rows. Both may be repeated. Not here: how work is
spread over processes (`iterpref.parallel`).
"""

from pathlib import Path

from iterpref.clients import BudgetConfig
from iterpref.config import Config, DebuggingConfig
from iterpref.debugging.debug import DebugProgress
from iterpref.debugging.debug_run import debug_tasks
from iterpref.errors import StoreError
from iterpref.opened_run import OnProgress, OpenedRun, quiet
from iterpref.parallel import Shard, run_many
from iterpref.run_folder import RunFolder
from iterpref.store import Store


def debug_in_shards(run: OpenedRun, settings: DebuggingConfig) -> None:
    """Debug all shards and bring them together."""
    parallel = run.config.parallel
    config = run.config.model_copy(update={"debugging": settings})
    parts = [Shard(number, parallel.shards) for number in range(1, parallel.shards + 1)]
    work = [(run.store.folder.resolve(), config, part) for part in parts]
    try:
        for done, _ in enumerate(run_many(_debug_one_shard, work, parallel.backend, parallel.workers), start=1):
            run.on_progress("shards", done, parallel.shards, "")
    finally:  # what the others finished counts, also where one had to stop
        merge_shards(run.store)


def debug_shard(
    folder: Path, config: Config, shard: Shard, on_progress: OnProgress = quiet, wait_s: float = 0.0
) -> DebugProgress:
    """Debug one part of a run's tasks into a database of its own, `shards/<part>`; the run itself is only read.

    A part gets its share of what is left of the budget.

    Args:
        wait_s: How long to wait for another writer of this part: one that was killed may take a moment to die.
    """
    own = shard.folder(folder)
    with Store.open(folder, write=False) as whole, Store.open(own, wait_s=wait_s) as store:
        store.put_tasks(task for task in whole.tasks(config.debugging.split) if shard.holds(task.task_id))
        store.absorb(folder)
        if not store.count("tasks"):
            return DebugProgress(total=0, passed=[])
        here = {
            "budget": share_of(config.budget, *whole.spending(), shard.count),
            "parallel": config.parallel.model_copy(update={"backend": "serial"}),
        }
        return debug_tasks(OpenedRun(store, config.model_copy(update=here), on_progress), config.debugging)


def merge_shards(store: Store) -> dict[str, int]:
    """Bring the shards' records into the run; may be repeated.

    Raises:
        StoreError: There are none, or one is still being written.
    """
    shards = RunFolder(store.folder).shards
    folders = [folder for folder in sorted(shards.glob("*/")) if RunFolder(folder).database.is_file()]
    if not folders:
        raise StoreError(f"{store.folder}: no shards to merge; make some with iterpref debug --shard 1/4 (2/4, ...)")
    for folder in folders:
        with Store.open(folder):  # nobody writes to it now
            store.absorb(folder)
    return {
        "shards": len(folders),
        "tasks": store.count("tasks"),
        "trajectories": store.count("trajectories"),
        "calls": store.count("calls"),
    }


def _debug_one_shard(work: tuple[Path, Config, Shard]) -> None:
    """For a worker process, which may follow one that died a moment ago."""
    debug_shard(*work, wait_s=60.0)


def share_of(budget: BudgetConfig, calls: int, usd: float, shards: int) -> BudgetConfig:
    """The budget of one shard, which starts from what the run has spent."""
    most_calls, most_usd = budget.max_calls, budget.max_budget_usd
    return BudgetConfig(
        max_calls=None if most_calls is None else calls + max(0, most_calls - calls) // shards,
        max_budget_usd=None if most_usd is None else usd + max(0.0, most_usd - usd) / shards,
    )
