"""Real SIGKILLs: a command killed again and again ends in the records of an undisturbed run, and pays no call twice."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest

from iterpref.playground.tasks import playground_tasks
from iterpref.records import Record, Trajectory
from iterpref.store import Store

TASKS = 24
SETTINGS = ["--set", "client.batch_size=4", "--set", "debugging.max_iterations=2",
            "--set", "debugging.sampling.max_tokens=128", "--set", "evaluation.tasks=24",
            "--set", "evaluation.sampling.max_tokens=128"]  # fmt: skip


def start(command: str, run: Path) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-m", "iterpref", command, "--run", str(run), *SETTINGS]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )


def finish(command: str, run: Path) -> None:
    process = start(command, run)
    output, errors = process.communicate(timeout=500)
    assert process.returncode == 0, errors or output


def rows(run: Path, table: str) -> int:
    with suppress(sqlite3.OperationalError), closing(sqlite3.connect(run / "run.sqlite", timeout=60)) as database:
        return int(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
    return 0


def kill_when(command: str, run: Path, table: str, count: int) -> None:
    """Start a command, and SIGKILL it with all its children as soon as a table has so many rows."""
    process = start(command, run)
    deadline = time.monotonic() + 500
    while rows(run, table) < count:
        assert process.poll() is None, f"{command} ended before it could be killed: {process.communicate()[1]}"
        assert time.monotonic() < deadline, "no progress"
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def prepare(folder: Path) -> Path:
    with Store.open(folder) as store:
        store.put_tasks(playground_tasks("train", TASKS))
    return folder


def timeless(record: Record) -> object:
    """A record without the measured times and sizes of its executions."""
    values = record.model_dump(mode="json")
    for holder in (*values.get("attempts", []), *values.get("samples", [])):
        execution = holder["execution"]
        for key in ("wall_s", "cpu_s", "max_rss_bytes"):
            del execution[key]
    return values


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = prepare(tmp_path_factory.mktemp("undisturbed"))
    finish("debug", run)
    finish("evaluate", run)
    return run


def test_debug_survives_kills(undisturbed: Path, tmp_path: Path) -> None:
    run = prepare(tmp_path / "run")
    for calls in (5, 14, 30):
        kill_when("debug", run, "calls", calls)
    paid_before = rows(run, "calls")
    finish("debug", run)
    with Store.open(run, write=False) as store, Store.open(undisturbed, write=False) as other:
        ours: list[Trajectory] = list(store.trajectories())
        assert [timeless(t) for t in ours] == [timeless(t) for t in other.trajectories()]
        assert len(ours) == TASKS
        # Nothing was paid twice: as many calls as in the undisturbed run, those before the kill among them.
        assert paid_before <= store.count("calls") == sum(len(t.attempts) for t in ours)
        assert store.count("executions") <= store.count("calls") + TASKS  # each task's reference, too


def test_evaluate_survives_a_kill(undisturbed: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    kill_when("evaluate", run, "calls", 6)
    finish("evaluate", run)
    with Store.open(run, write=False) as store, Store.open(undisturbed, write=False) as other:
        assert [timeless(r) for r in store.results()] == [timeless(r) for r in other.results()]
        assert store.count("calls") == TASKS


def test_a_second_writer_waits_its_turn(undisturbed: Path) -> None:
    with Store.open(undisturbed):
        process = start("pair", undisturbed)
        _, errors = process.communicate(timeout=500)
    assert process.returncode == 1
    assert "another iterpref process is writing to this run" in errors
