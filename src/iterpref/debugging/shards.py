"""Debugging in shards: parts of a run's tasks, each with a database of its own, on this machine or on a cluster.

A shard reads the run and writes its own folder; merging copies the rows. Both may be repeated. Not here: how work is
spread over processes (`iterpref.parallel`).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from iterpref.clients import BudgetConfig
from iterpref.config import Config
from iterpref.debugging.debug import DebugProgress
from iterpref.debugging.debug_run import debug_tasks
from iterpref.errors import StoreError
from iterpref.opened_run import OnProgress, OpenedRun, quiet
from iterpref.parallel import Shard, run_many
from iterpref.run_folder import RunFolder, settings_note
from iterpref.store import Store

_NOTE = settings_note("debug")
# Keys that decide how fast a shard is made, and nothing in its records.
_ONLY_SPEED = {"sandbox.workers", "sandbox.service", "debugging.concurrency"} | {
    f"{client}.{key}"
    for client in ("client", "repair_client")
    for key in ("batch_size", "batch_tokens", "device", "concurrency", "timeout_s", "max_attempts", "give_up_s",
                "batch_poll_s", "serve_start_s", "api_key_env")
}  # fmt: skip


def debug_run(run: OpenedRun) -> DebugProgress:
    """Debug the run's tasks, in shards where the configuration says so; see `debug_tasks`."""
    if run.config.parallel.backend != "serial" and run.config.parallel.what == "shards":
        debug_in_shards(run)  # the pass over all tasks that follows finds nothing left to do
    return debug_tasks(run)


def debug_in_shards(run: OpenedRun) -> None:
    """Debug all shards and bring them together."""
    parallel = run.config.parallel
    parts = [Shard(number, parallel.shards) for number in range(1, parallel.shards + 1)]
    work = [(run.store.folder.resolve(), run.config, part) for part in parts]
    try:
        for done, _ in enumerate(run_many(_debug_one_shard, work, parallel.backend, parallel.workers), start=1):
            run.on_progress("shards", done, parallel.shards, "")
    finally:  # what the others finished counts, also where one had to stop
        merge_shards(run.store, mixed=True)


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
        run = OpenedRun(store, config.model_copy(update=here), on_progress)
        with run.noting("debug"):
            return debug_tasks(run)


def merge_shards(store: Store, *, mixed: bool = False) -> dict[str, int]:
    """Bring the shards' records and the settings they were made with into the run; may be repeated.

    Args:
        mixed: Also where shards were made with other settings than each other.

    Raises:
        StoreError: There are none, one is still being written, or settings differ. Nothing was merged then.
    """
    shards = RunFolder(store.folder).shards
    folders = [folder for folder in sorted(shards.glob("*/")) if RunFolder(folder).database.is_file()]
    if not folders:
        raise StoreError(f"{store.folder}: no shards to merge; make some with iterpref debug --shard 1/4 (2/4, ...)")
    noted: dict[str, list[dict[str, Any]]] = {}
    for folder in folders:
        with Store.open(folder) as shard:  # nobody writes to it now
            noted[folder.name] = shard.note(_NOTE) or []
    if not mixed:
        _check_alike(store.folder, noted)
    for folder in folders:
        with Store.open(folder):
            store.absorb(folder)
    ran_with = store.note(_NOTE) or []
    for settings in (settings for shard in noted.values() for settings in shard):
        if settings not in ran_with:
            ran_with.append(settings)
    store.put_note(_NOTE, ran_with)
    return {
        "shards": len(folders),
        "tasks": store.count("tasks"),
        "trajectories": store.count("trajectories"),
        "calls": store.count("calls"),
    }


def _check_alike(run: Path, noted: Mapping[str, list[dict[str, Any]]]) -> None:
    """Refuse shards of different settings: their trajectories would be mixed without a word. Shards of earlier versions
    noted none."""
    first: tuple[str, dict[str, Any]] | None = None
    for name, settings in ((name, settings) for name, all_of in noted.items() for settings in all_of):
        decisive = {key: value for key, value in settings["changed"].items() if key not in _ONLY_SPEED}
        first = first or (name, decisive)
        keys = [key for key in {**first[1], **decisive} if first[1].get(key) != decisive.get(key)]
        if keys:
            raise StoreError(
                f"{run}: shards were made with other settings: {first[0]} with {_said(first[1], keys)}, {name} with "
                f"{_said(decisive, keys)}. Delete the folder of the wrong one in shards/ and debug it again (settings "
                "for all shards: iterpref config --run RUN set ...), or merge them all the same with --mixed"
            )


def _said(changed: Mapping[str, Any], keys: list[str]) -> str:
    return ", ".join(f"{key}={changed[key]!r}" if key in changed else f"the default {key}" for key in keys)


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
