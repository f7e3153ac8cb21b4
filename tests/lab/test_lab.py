"""The command on a grid of two seeds and eight tasks: killed on the way, with a cell that fails, and gone on with."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from benchmarks.lab.records import finished

ROOT = Path(__file__).parents[2]
GRID = """
name: small
domains: {steps: {bases: [0]}}
seeds: {first: 5, count: 2}
rate: 3.0e-3
length: 1
tasks: {train: 8, held_out: 8}
debugging: {max_iterations: 1, sampling: {max_tokens: 96}}
training: {warmup_steps: 0, per_device_train_batch_size: 4}
arms:
  base: {trainer: base}
  sft: {training: {method: sft}}
  failing: {training: {method: dpo, alpha: 2.0}}   # which TRL's arguments can't have together
comparators: [base]
families: {one: [sft - base]}
"""


class Laboratory:
    """Runs of the command in one work folder."""

    def __init__(self, folder: Path) -> None:
        self.grid, self.work = folder / "small.yaml", folder / "work"
        self.grid.write_text(GRID)
        paths = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
        self._environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths, "HF_HUB_OFFLINE": "1"}

    def start(self, *more: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "benchmarks.lab", str(self.grid), "--work", str(self.work), "--jobs", "1"]
        return subprocess.Popen([*command, *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
                                env=self._environment)  # fmt: skip

    def finish(self, *more: str, status: int = 0) -> str:
        process = self.start(*more)
        output, errors = process.communicate(timeout=1500)
        assert process.returncode == status, errors or output
        return output + errors

    @property
    def records(self) -> dict[str, tuple[int, dict[str, Any]]]:
        """Cell → when its record was written, and the record."""
        files = (self.work / "records").glob("*.json")
        found = [(path.stat().st_mtime_ns, json.loads(path.read_text())) for path in files]
        return {f"{r['arm']}@{r['what']['seed']}": (at, r) for at, r in found if "arm" in r}

    def kill_when_there_are(self, cells: int) -> dict[str, tuple[int, dict[str, Any]]]:
        """SIGKILL the command alone when so many cells have a record; its process has to end by itself."""
        process, deadline = self.start(), time.monotonic() + 1400
        try:
            while len(self.records) < cells:
                assert process.poll() is None, f"ended before it could be killed: {process.communicate()}"
                assert time.monotonic() < deadline, "no progress"
                time.sleep(0.05)
        finally:
            process.kill()
            process.communicate()  # ends when the last process that holds the pipe does
        return self.records


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_it_goes_on_and_one_failing_cell_stops_no_other(tmp_path: Path) -> None:
    lab = Laboratory(tmp_path)
    before = lab.kill_when_there_are(2)
    assert 2 <= len(before) < 6
    output = lab.finish(status=1)  # for a cell failed
    after = lab.records
    done = {name: found for name, found in before.items() if finished(found[1])}
    assert done and done.items() <= after.items()  # with the times of their files
    assert {name for name, (_, record) in after.items() if not finished(record)} == {"failing@5", "failing@6"}
    assert "| steps-0 seed 5 failing 0.003 x 1 | training: alpha=2.0 weighs the NLL term" in output
    assert "| steps | one | sft − base | 2 |" in output
    trained, base = after["sft@5"][1], after["base@5"][1]
    assert len(trained["outcomes"]) == 8 and trained["tasks_hash"] == base["tasks_hash"]
    assert trained["tokens"] > 0 and trained["curve"]["step"] and trained["pairs"] > 0
    assert list((lab.work / "cells").iterdir()) == []
    assert (lab.work / "small" / "page.html").is_file()

    again = lab.finish(status=1)  # only what failed is tried again
    assert {name: at for name, (at, _) in lab.records.items() if "failing" not in name} == {
        name: at for name, (at, _) in after.items() if "failing" not in name
    }
    assert again.count("failed: training: alpha=2.0") == 2 and "sft 0.003 x 1:" not in again

    remade = lab.finish("--remake", "sft@5")
    assert "the same trajectories; 0 of 8 tasks have another outcome" in remade


def test_mistakes_end_it_before_anything_is_run(tmp_path: Path) -> None:
    lab = Laboratory(tmp_path)
    lab.grid.write_text(GRID.replace("method: sft", "method: stf"))
    assert "small.yaml: arms.sft: training.method: no method is called stf; did you mean sft?" in lab.finish(status=1)
    lab.grid.write_text(GRID.replace("bases: [0]", "bases: [0, 1]"))
    assert "domain steps: no base 1 in" in lab.finish("--bases", str(tmp_path), status=1)
    lab.grid.write_text(GRID)
    assert "--remake sft@9: grid small has no such cell" in lab.finish("--remake", "sft@9", status=1)
    assert "6 cells are left" in lab.finish("--estimate")
    assert not lab.work.exists()
