"""benchmarks.lab.reasons as a command: mistakes, and one seed of few tasks really trained and measured."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .test_reasons import GRID, made_grid

ROOT = Path(__file__).parents[2]


def command(folder: Path, *more: str, status: int = 0) -> str:
    arguments = [str(folder / "small.yaml"), "--work", str(folder / "work"), "--jobs", "1", *more]
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-m", "benchmarks.lab.reasons", *arguments], capture_output=True, text=True,
                          cwd=ROOT, env=environment)  # fmt: skip
    assert done.returncode == status, done.stderr or done.stdout
    return done.stdout + done.stderr


def test_mistakes_end_the_command_before_anything_is_run(tmp_path: Path) -> None:
    made_grid(tmp_path, arms={"sft": {"training": {"method": "sft"}}})
    assert "error: grid small: no arm is the base" in command(tmp_path, status=1)
    made_grid(tmp_path)
    assert "6 cells are left" in command(tmp_path, "--estimate")
    assert not (tmp_path / "work").exists()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_command_measures_and_goes_on(tmp_path: Path) -> None:
    arms = {name: GRID["arms"][name] for name in ("base", "sft")}
    made_grid(tmp_path, seeds={"first": 5, "count": 1}, arms=arms)
    output = command(tmp_path)
    found = [json.loads(path.read_text()) for path in (tmp_path / "work" / "records").glob("*.json")]
    by_arm = {one["arm"]: one for one in found if "arm" in one}
    base, sft = by_arm["base"], by_arm["sft"]
    assert "seen" not in base and len(base["traits"]["kind"]) == len(base["outcomes"]) == 8
    assert len(sft["answers"]["passing"]) == 8 and sft["answers"]["greedy_pass_at_1"] == sft["passed"]
    for where in ("seen", "unseen"):
        assert 0 < sft[where]["pairs"] <= sft["pairs"] + 200 and sft[where]["chosen"]["change"] != 0
    assert sft["seen"]["pairs"] == sft["pairs"] and sft["seen"]["chosen"]["before"] != sft["unseen"]["chosen"]["before"]
    assert "| steps | sft | seen |" in output and "Every cell is finished." in output
    assert (tmp_path / "work" / "small" / "pass-at-k-steps.svg").is_file()

    again = command(tmp_path)
    assert "0 cells are left" in again and "sft 0.0003 x 1:" not in again
