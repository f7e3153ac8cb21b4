import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from iterpref import pipeline
from iterpref.config.load import parse_config
from iterpref.debugging.shards import debug_shard, merge_shards
from iterpref.errors import BudgetError, ConfigError, IterPrefError, StoreError
from iterpref.opened_run import OpenedRun
from iterpref.parallel import Shard, run_many
from iterpref.playground.tasks import playground_tasks
from iterpref.records import Trajectory
from iterpref.store import Store

TASKS = 18
VALUES = {
    "client": {"batch_size": 1},  # alone in its batch, a request is rounded alike in every shard
    "sandbox": {"workers": 1},
    "debugging": {"max_iterations": 2, "sampling": {"max_tokens": 96}},
}
CONFIG = parse_config(VALUES)


def prepare(folder: Path) -> Path:
    with Store.open(folder) as store:
        store.put_tasks(playground_tasks("train", TASKS))
    return folder


def records(folder: Path) -> list[object]:
    with Store.open(folder, write=False) as store:
        return [timeless(trajectory) for trajectory in store.trajectories()]


def timeless(trajectory: Trajectory) -> object:
    values = trajectory.model_dump(mode="json")
    for attempt in values["attempts"]:
        for measured in ("wall_s", "cpu_s", "max_rss_bytes"):
            del attempt["execution"][measured]
    return values


@pytest.fixture(scope="module")
def serial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = prepare(tmp_path_factory.mktemp("serial"))
    with Store.open(folder) as store:
        pipeline.debug(OpenedRun(store, CONFIG))
    return folder


def test_each_task_is_in_one_shard() -> None:
    ids = [task.task_id for task in playground_tasks("train", 60)]
    shards = [Shard(number, 7) for number in range(1, 8)]
    held = [[shard.number for shard in shards if shard.holds(task_id)] for task_id in ids]
    assert all(len(numbers) == 1 for numbers in held)
    assert len({numbers[0] for numbers in held}) == 7


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "a/b", "1/0"])
def test_no_part_of_a_whole(text: str) -> None:
    with pytest.raises(ConfigError, match=r"expected part/parts, counted from 1, for example 3/16"):
        Shard.parse(text)


def test_merged_shards_are_the_serial_run(serial: Path, tmp_path: Path) -> None:
    run = prepare(tmp_path / "run")
    for part in ("2/3", "1/3", "3/3", "1/3"):
        debug_shard(run, CONFIG, Shard.parse(part))
    with Store.open(run) as store:
        first = merge_shards(store)
        assert merge_shards(store) == first
        assert first["trajectories"] == TASKS
    assert records(run) == records(serial)
    with Store.open(run, write=False) as store, Store.open(serial, write=False) as other:
        for table in ("calls", "attempts", "executions", "texts"):
            assert store.count(table) == other.count(table), table


def test_a_shard_goes_on_from_the_run_and_merging_keeps_what_went_further(serial: Path, tmp_path: Path) -> None:
    run = prepare(tmp_path / "run")
    with Store.open(run) as store:  # everything once, no repair
        short = CONFIG.model_copy(update={"debugging": CONFIG.debugging.model_copy(update={"max_iterations": 0})})
        pipeline.debug(OpenedRun(store, short))
        paid = store.count("calls")
    debug_shard(run, CONFIG, Shard(1, 2))
    with Store.open(Shard(1, 2).folder(run), write=False) as store:
        mine = store.count("trajectories")
    debug_shard(run, CONFIG, Shard(1, 2))  # reads the shorter trajectories of the run again
    debug_shard(run, CONFIG, Shard(2, 2))
    with Store.open(run) as store:
        merge_shards(store)
        assert 0 < mine < TASKS
        assert paid == TASKS
    assert records(run) == records(serial)


def test_a_killed_shard_is_continued(serial: Path, tmp_path: Path) -> None:
    run = prepare(tmp_path / "run")
    values = ("client.batch_size=1", "debugging.max_iterations=2", "debugging.sampling.max_tokens=96")
    line = [sys.executable, "-m", "iterpref", "debug", "--run", str(run), "--shard", "1/1"]
    line += [part for value in values for part in ("--set", value)]
    process = subprocess.Popen(line, env={**os.environ, "OMP_NUM_THREADS": "1"}, start_new_session=True)
    database = Shard(1, 1).folder(run) / "run.sqlite"
    deadline = time.monotonic() + 500
    while not database.is_file() or rows(database) < 5:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with Store.open(run) as store, pytest.raises(StoreError, match="another iterpref process is writing"):
        merge_shards(store)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert subprocess.run(line, env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=500).returncode == 0
    with Store.open(run) as store:
        merge_shards(store)
    assert records(run) == records(serial)


def rows(database: Path) -> int:
    with suppress(StoreError), Store.open(database.parent, write=False) as store:
        return store.count("calls")
    return 0  # it exists, but its tables don't yet


def test_nothing_to_merge(tmp_path: Path) -> None:
    with Store.open(prepare(tmp_path / "run")) as store, pytest.raises(StoreError, match="no shards to merge"):
        merge_shards(store)


def test_debugging_on_processes_is_the_serial_run(serial: Path, tmp_path: Path) -> None:
    run = prepare(tmp_path / "run")
    config = parse_config(VALUES | {"parallel": {"backend": "processes", "shards": 3, "workers": 2}})
    with Store.open(run) as store:
        progress = pipeline.debug(OpenedRun(store, config))
    assert progress.done == TASKS
    assert records(run) == records(serial)


# --- run_many ---


def square(number: int) -> int:
    return number * number


def die_once(path: Path) -> str:
    """Kill this worker on the first call of each path."""
    if not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return path.name


def die(_: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def out_of_budget(_: int) -> None:
    raise BudgetError("budget reached")


@pytest.mark.parametrize("backend", ["serial", "processes"])
def test_results_of_all_items(backend: str) -> None:
    assert sorted(run_many(square, range(5), backend, 2)) == [0, 1, 4, 9, 16]  # type: ignore[arg-type]


def test_a_dead_worker_takes_no_work_with_it(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in "ab"]
    assert sorted(run_many(die_once, paths, "processes", 2)) == ["a", "b"]


def test_workers_that_always_die_end_with_one_message() -> None:
    with pytest.raises(IterPrefError, match="workers died 4 times with 1 parts of the work undone"):
        list(run_many(die, [1], "processes", 1))


def test_what_the_function_raises_passes_through() -> None:
    with pytest.raises(BudgetError, match="budget reached"):
        list(run_many(out_of_budget, [1, 2], "processes", 2))


def test_budgets_are_shared_out(tmp_path: Path) -> None:
    from iterpref.clients import BudgetConfig
    from iterpref.debugging.shards import share_of

    assert share_of(BudgetConfig(max_calls=100), 20, 0.0, 8) == BudgetConfig(max_calls=30)
    assert share_of(BudgetConfig(max_budget_usd=2.0), 5, 1.0, 4) == BudgetConfig(max_budget_usd=1.25)
    assert share_of(BudgetConfig(), 5, 1.0, 4) == BudgetConfig()
    assert share_of(BudgetConfig(max_calls=10), 20, 0.0, 8) == BudgetConfig(max_calls=20)
