"""Trainings started as commands: two processes by a launch file of recipes/accelerate on a CPU, or one process.

For test_sharded_launch.py and test_zero_launch.py.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from .conftest import example_pairs, write_pairs

RECIPES = Path(__file__).parents[2] / "recipes" / "accelerate"
TRAINING = {"per_device_train_batch_size": 2, "max_steps": 10, "learning_rate": 1e-3, "logging_steps": 1,
            "save_steps": 4, "report_to": "none"}  # fmt: skip
ADAPTER = {"use_peft": True, "lora_r": 4, "lora_target_modules": "all-linear"}
SELECTION = {"benchmark": "playground", "tasks": 2, "max_tokens": 8}
# No GPU, where there is one; DeepSpeed looks for another sign.
ON_CPU = {"CUDA_VISIBLE_DEVICES": "", "DS_ACCELERATOR": "cpu", "OMP_NUM_THREADS": "1"}


class Trainings:
    """Runs of one model on the same pairs; `folders` makes an empty folder."""

    def __init__(self, model: str, folders: Callable[[str], Path]) -> None:
        self._model = model
        self._folders = folders
        self._of_one: dict[str, dict[str, torch.Tensor]] = {}

    def make(self, **training: Any) -> Path:
        """A run folder that is ready to be trained."""
        run = self._folders("run")
        write_pairs(run / "pairs", example_pairs(chat=True, count=40))
        config = {"model": self._model, "training": TRAINING | training}
        config["sandbox"] = {"min_isolation": "rlimits", "workers": 1}
        (run / "config.yaml").write_text(yaml.safe_dump(config))
        return run

    def by_file(self, file: str, run: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Two processes, by a launch file's name; each notes what it holds in the run folder."""
        launcher = ["-m", "accelerate.commands.launch", "--config_file", str(RECIPES / file), "--num_processes=2"]
        launcher += ["--mixed_precision=no", "--main_process_port=0", str(Path(__file__).with_name("sharded_cli.py"))]
        return _start(launcher, run, SHARDS=str(run), **environment)

    def of_one(self, **training: Any) -> dict[str, torch.Tensor]:
        """The weights that one process ends with, which goes through the same batches."""
        key = json.dumps(training, sort_keys=True)
        if key not in self._of_one:
            batches = 2 * training.get("gradient_accumulation_steps", 1)
            run = self.make(**training | {"gradient_accumulation_steps": batches, "use_cpu": True})
            summary(_start(["-m", "iterpref"], run))
            self._of_one[key] = load_file(run / "model" / "model.safetensors")
        return self._of_one[key]


def _start(program: list[str], run: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *program, "train", "--run", str(run), "--json"]
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **ON_CPU, **environment}
    return subprocess.run(command, capture_output=True, text=True, env=variables, timeout=900)


def summary(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """What the first process alone tells at the end."""
    assert done.returncode == 0, done.stderr[-6000:]
    (found,) = [json.loads(line) for line in done.stdout.splitlines() if line[:1] == "{"]
    return dict(found)


def held_by_each(run: Path) -> list[dict[str, Any]]:
    """What each of the two processes noted."""
    return [json.loads((run / f"{rank}.json").read_text()) for rank in (0, 1)]


def check_same(folder: Path, expected: dict[str, torch.Tensor]) -> None:
    """The same names; values within the rounding that ten steps of Adam carry on: 1e-3 of a weight, or 2e-5."""
    found = load_file(folder / "model.safetensors")
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-3, atol=2e-5)


def check_loads(folder: Path) -> None:
    """transformers misses nothing in the saved model, and the head, saved once, is tied."""
    network, told = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert not any(told.values())
    assert network.lm_head.weight is network.model.embed_tokens.weight


def check_bits(folder: Path, expected: Path, name: str = "model.safetensors") -> None:
    """The same file of weights, bit for bit."""
    found, wanted = load_file(folder / name), load_file(expected / name)
    assert found.keys() == wanted.keys()
    for key, value in wanted.items():
        torch.testing.assert_close(found[key], value, rtol=0, atol=0)
