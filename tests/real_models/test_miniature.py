"""The whole experiment with the playground's coder in place of a real model, killed on the way."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest

from iterpref.store import Store

from .small_data import write_data

ROOT = Path(__file__).parents[2]
TASKS = 6
SETTINGS = ("sandbox.min_isolation=rlimits", "client.batch_size=2", "debugging.sampling.max_tokens=128",
            "evaluation.sampling.max_tokens=128", "evaluation.protocol=plain", "training.selection.max_tokens=64",
            "training.selection.tasks=2")  # fmt: skip


class Laboratory:
    """Runs of the command in one work folder."""

    def __init__(self, data: dict[str, str], work: Path, cache: Path) -> None:
        self.folder = work / f"quick-{TASKS}"
        settings = (word for setting in SETTINGS for word in ("--set", setting))
        self._command = [sys.executable, "-m", "benchmarks.real_models", "--model", "playground", "--quick",
                         "--repairer", "playground", "--tasks", str(TASKS), "--work", str(work),
                         "--mbpp", data["ITERPREF_MBPP_FULL_PATH"], *settings]  # fmt: skip
        paths = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
        self._environment = {**os.environ, **data, "OMP_NUM_THREADS": "1", "ITERPREF_CACHE": str(cache),
                             "PYTHONPATH": paths}  # fmt: skip

    def start(self, *more: str) -> subprocess.Popen[str]:
        return subprocess.Popen([*self._command, *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                cwd=ROOT, env=self._environment, start_new_session=True)  # fmt: skip

    def finish(self, *more: str) -> str:
        process = self.start(*more)
        output, errors = process.communicate(timeout=550)
        assert process.returncode == 0, errors or output
        return output

    def kill_when(self, run: str, calls: int) -> dict[str, tuple[int, bytes]]:
        """SIGKILL the command with all its children when a run folder holds so many calls; all calls by then."""
        process, deadline = self.start(), time.monotonic() + 500
        while len(self.calls(run)) < calls:
            assert process.poll() is None, f"ended before it could be killed: {process.communicate()}"
            assert time.monotonic() < deadline, "no progress"
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return self.all_calls()

    def calls(self, run: str) -> dict[str, tuple[int, bytes]]:
        """Call key → its number, which changes where a call is stored again, and the completion."""
        file = self.folder / run / "run.sqlite"
        with suppress(sqlite3.OperationalError), closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
            rows = database.execute("SELECT key, rowid, completion FROM calls").fetchall()
            return {key: (number, completion) for key, number, completion in rows}
        return {}

    def all_calls(self) -> dict[str, tuple[int, bytes]]:
        runs = ("debugging", "removed", "shuffled", "repairer", "evaluation")
        return {f"{run}/{key}": call for run in runs for key, call in self.calls(run).items()}

    def records(self) -> dict[str, dict]:
        found = {path.stem: json.loads(path.read_text()) for path in (self.folder / "records").glob("*.json")}
        return {name: {k: v for k, v in record.items() if k != "seconds"} for name, record in found.items()}


@pytest.mark.slow
def test_killed_twice_it_ends_in_the_same_records_and_pays_nothing_again(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data", TASKS)
    killed = Laboratory(data, tmp_path / "killed", tmp_path / "cache")
    undisturbed = Laboratory(data, tmp_path / "undisturbed", tmp_path / "cache")
    assert "About 0." in killed.finish("--estimate") and not killed.folder.exists()
    paid = killed.kill_when("debugging", 9), killed.kill_when("evaluation", 5)
    output = killed.finish()
    assert "step debugging" not in output and "step train" not in output and "step evaluate-dpo" in output
    undisturbed.finish()
    assert killed.records() == undisturbed.records()
    calls = killed.all_calls()
    for before in paid:  # byte for byte, and under their numbers
        assert before.items() <= calls.items()
    assert calls.keys() == undisturbed.all_calls().keys()
    repairs = sum(bool(kinds[0]) for kinds in killed.records()["debugging"]["outcomes"].values())
    with Store.open(killed.folder / "removed", write=False) as control:
        assert control.count("calls") == len(calls_before(killed, control)) + repairs
    assert "step" not in killed.finish()  # nothing is left


def calls_before(laboratory: Laboratory, control: Store) -> set[str]:
    """The calls that a control began with: those of debugging and sampling, as far as they had come."""
    return laboratory.calls("debugging").keys() & laboratory.calls(control.folder.name).keys()
