"""TRL's GRPOTrainer trains the playground's coder on rewards from the sandbox."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "grpo.py"


@pytest.mark.slow
def test_the_reward_rises(tmp_path: Path) -> None:
    """The example as it is: 40 steps of 128 completions."""
    sys.argv = [str(EXAMPLE), "playground", str(tmp_path / "trained")]
    trainer = runpy.run_path(str(EXAMPLE))["trainer"]
    rewards = [entry["reward"] for entry in trainer.state.log_history if "reward" in entry]
    assert len(rewards) == 40
    first, last = sum(rewards[:8]) / 8, sum(rewards[-8:]) / 8
    assert last > first + 0.1, (first, last)
    assert any("code_reward/runs" in entry for entry in trainer.state.log_history)
    assert (tmp_path / "trained" / "model.safetensors").exists()


def test_the_example_runs(tmp_path: Path) -> None:
    """Two steps of it, as a user starts it."""
    text = (
        EXAMPLE.read_text(encoding="utf-8")
        .replace("max_steps=40", "max_steps=2")
        .replace("train_batch_size=128", "train_batch_size=16")
    )
    script = tmp_path / "grpo.py"
    script.write_text(text, encoding="utf-8")
    command = [sys.executable, str(script), "playground", str(tmp_path / "trained")]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )
    assert done.returncode == 0, done.stderr
    assert "RewardMetrics(batches=2, rewards=32" in done.stdout
