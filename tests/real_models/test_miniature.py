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
from typing import Any

import pytest

from iterpref.store import Store

from .small_data import write_data

ROOT = Path(__file__).parents[2]
TASKS = 5
SETTINGS = ("sandbox.min_isolation=rlimits", "client.batch_size=2", "debugging.sampling.max_tokens=128",
            "evaluation.sampling.max_tokens=128", "evaluation.protocol=plain", "training.selection.max_tokens=64",
            "training.selection.tasks=2", "training.warmup_steps=0")  # fmt: skip


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
        output, errors = process.communicate(timeout=3500)
        assert process.returncode == 0, errors or output
        return output

    def kill_when(self, run: str, calls: int, *more: str) -> dict[str, tuple[int, bytes]]:
        """SIGKILL the command with all its children when a run folder holds so many calls; all calls by then."""
        process, deadline = self.start(*more), time.monotonic() + 1700
        try:
            while len(self.calls(run)) < calls:
                assert process.poll() is None, f"ended before it could be killed: {process.communicate()}"
                assert time.monotonic() < deadline, "no progress"
                time.sleep(0.05)
        finally:
            with suppress(ProcessLookupError):
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
        runs = [str(file.parent.relative_to(self.folder)) for file in self.folder.rglob("run.sqlite")]
        return {f"{run}/{key}": call for run in runs for key, call in self.calls(run).items()}

    def record(self, step: str) -> dict[str, Any]:
        return json.loads((self.folder / "records" / f"{step}.json").read_text())

    def asked_for(self, run: str) -> set[str]:
        """Keys of the calls that the attempts of a run folder are made of."""
        with Store.open(self.folder / run, write=False) as store:
            return {attempt.call_id for made in store.trajectories() for attempt in made.attempts}


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_killed_twice_it_goes_on_and_pays_nothing_again(tmp_path: Path) -> None:
    lab = Laboratory(write_data(tmp_path / "data", TASKS), tmp_path / "work", tmp_path / "cache")
    assert "hours are left" in lab.finish("--estimate")
    assert not lab.folder.exists()
    paid = lab.kill_when("debugging", 9), lab.kill_when("evaluation/base", TASKS + 2)
    done = sorted(path.stem for path in (lab.folder / "records").iterdir())
    assert "validate-base" in done and "evaluate-target_rpo" not in done
    output = lab.finish()
    assert [name for name in done if f"step {name}\n" in output] == []
    calls = lab.all_calls()
    for before in paid:  # byte for byte, and under their numbers
        assert before.items() <= calls.items()
    own = lab.asked_for("debugging")
    assert lab.calls("debugging").keys() == own  # every call that was paid is part of an attempt
    for control in ("sampling", "removed", "shuffled", "repairer"):
        repaired = lab.asked_for(control)
        assert lab.calls(control).keys() == repaired | (own & lab.calls(control).keys())
        firsts = 5 if control == "sampling" else 1
        assert len(repaired - own) <= firsts * len(lab.record(control)["outcomes"])  # the first attempts were there
    evaluated = {name: len(lab.calls(f"evaluation/{name}")) for name in ("base", "dpo", "target_rpo", "validation")}
    assert evaluated == {"base": 2 * TASKS, "dpo": 2 * TASKS, "target_rpo": 2 * TASKS, "validation": TASKS}
    scores = lab.record("evaluate-target_rpo")["scores"]
    assert {name: len(outcomes) for name, outcomes in scores.items()} == {"humaneval+": TASKS, "mbpp+": TASKS}
    assert "\nstep " not in lab.finish()  # nothing is left
    assert "*Not run yet.*" not in (lab.folder / "tables.md").read_text()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_steps_beside_each_other_find_the_same(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data", TASKS)
    together, alone = (Laboratory(data, tmp_path / name, tmp_path / "cache") for name in ("together", "alone"))
    together.finish("--jobs", "3")
    alone.finish()
    assert [alone.record(step) for step in ("debugging", "sampling", "shuffled", "pairs")] == [
        together.record(step) for step in ("debugging", "sampling", "shuffled", "pairs")
    ]
    assert "*Not run yet.*" not in (together.folder / "tables.md").read_text()
