"""FSDP2 by the shipped file: two processes on a CPU, neither of which holds the model, train what one trains."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from .conftest import example_pairs, write_pairs

REPOSITORY = Path(__file__).parents[2]
LAUNCH = ["-m", "accelerate.commands.launch", "--config_file", str(REPOSITORY / "recipes/accelerate/fsdp2.yaml")]
LAUNCH += ["--num_processes=2", "--mixed_precision=no", "--main_process_port=0"]
TRAINING = {"per_device_train_batch_size": 2, "max_steps": 10, "learning_rate": 1e-3, "logging_steps": 1,
            "save_steps": 4, "report_to": "none"}  # fmt: skip
ADAPTER = {"use_peft": True, "lora_r": 4, "lora_target_modules": "all-linear"}
Train = Any


@pytest.fixture(scope="module")
def train(tmp_path_factory, workshop) -> Train:
    """`train(launcher, environment={}, run=None, **training)` → (finished process, run folder), from one model."""

    def start(launcher: list[str], run: Path | None = None, environment: dict[str, str] | None = None, **training: Any):
        if run is None:
            run = tmp_path_factory.mktemp("run")
            write_pairs(run / "pairs", example_pairs(chat=True, count=40))
            config = {"model": workshop(chat=True)[0], "training": TRAINING | training}
            config["sandbox"] = {"min_isolation": "rlimits", "workers": 1}
            (run / "config.yaml").write_text(yaml.safe_dump(config))
        program = [str(Path(__file__).with_name("sharded_cli.py"))] if launcher else ["-m", "iterpref"]
        command = [sys.executable, *launcher, *program, "train", "--run", str(run), "--json"]
        variables = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
        variables |= {"SHARDS": str(run), **(environment or {})}
        return subprocess.run(command, capture_output=True, text=True, env=variables, timeout=900), run

    return start


@pytest.fixture(scope="module")
def of_one(train) -> Any:
    """`of_one(**training)`: the weights that one process ends with, which goes through the same batches."""
    made: dict[str, dict[str, torch.Tensor]] = {}

    def get(**training: Any) -> dict[str, torch.Tensor]:
        key = json.dumps(training, sort_keys=True)
        if key not in made:
            done, run = train([], gradient_accumulation_steps=2, use_cpu=True, **training)
            assert done.returncode == 0, done.stderr[-3000:]
            made[key] = load_file(run / "model" / "model.safetensors")
        return made[key]

    return get


def summary(done: Any) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr[-6000:]
    (found,) = [json.loads(line) for line in done.stdout.splitlines() if line[:1] == "{"]
    return dict(found)


def check_same(folder: Path, expected: dict[str, torch.Tensor]) -> None:
    """Within the rounding that ten steps of Adam carry on: 1e-3 of a weight, or 2e-5."""
    found = load_file(folder / "model.safetensors")
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-3, atol=2e-5)


def check_shared(run: Path) -> None:
    """Of the policy each process held a half; of a reference, whose head stays gathered, a half of all the rest."""
    held = [json.loads((run / f"{rank}.json").read_text()) for rank in (0, 1)]
    whole = held[0]["policy"][1]
    assert whole > 30_000
    assert sum(found["policy"][0] for found in held) == whole
    assert all(0.4 * whole < found["policy"][0] < 0.6 * whole for found in held)
    head = 425 * 32 + 32  # with the last norm
    for found in held:
        if found["reference"]:
            own, of_all = found["reference"]
            assert of_all == whole
            assert 0.4 * (whole - head) < own - head < 0.6 * (whole - head)


@pytest.mark.slow
@pytest.mark.parametrize(
    "training",
    [
        pytest.param({}, id="with a reference"),
        pytest.param({"precompute_ref_log_probs": True, "gradient_checkpointing": False}, id="references beforehand"),
        pytest.param({"method": "sft"}, id="without a reference"),
        pytest.param({"trunk_attention": "off"}, id="without shared trunks"),
    ],
)
def test_two_sharded_processes_train_what_one_trains(train, of_one, training) -> None:
    done, run = train(LAUNCH, **training)
    assert summary(done)["steps"] == 10
    check_shared(run)
    noted = json.loads((run / "0.json").read_text())
    assert noted["trunk"] == (None if "trunk_attention" in training else "split")
    assert (noted["reference"] is not None) == (training in ({}, {"trunk_attention": "off"}))
    check_same(run / "model", of_one(**training))
    _, told = AutoModelForCausalLM.from_pretrained(run / "model", output_loading_info=True)
    assert not any(told.values())


@pytest.mark.slow
def test_an_adapter_is_merged_by_the_first_process(train, of_one) -> None:
    done, run = train(LAUNCH, **ADAPTER)
    assert summary(done)["steps"] == 10
    check_shared(run)
    check_same(run / "model", of_one(**ADAPTER))
    assert (run / "model" / "adapter" / "adapter_model.safetensors").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("adapter", [{}, ADAPTER], ids=["all weights", "adapter"])
def test_a_killed_run_goes_on_and_selects(train, of_one, adapter) -> None:
    selection = {"benchmark": "playground", "tasks": 2, "max_tokens": 8}
    killed, run = train(LAUNCH, environment={"KILL_AT": "8"}, selection=selection, **adapter)
    assert killed.returncode != 0
    assert not (run / "model" / "config.json").exists()
    done, _ = train(LAUNCH, run=run)
    told = summary(done)
    assert (told["resumed_step"], told["selected_step"], told["steps"]) == (8, 4, 10)
    assert list(told["validation"]) == ["4", "8", "10"]
    last = run / "model" / "checkpoint-10"
    if not adapter:
        check_same(last, of_one())
        check_same(run / "model", load_file(run / "model" / "checkpoint-4" / "model.safetensors"))
        return
    chosen, fourth = (
        load_file(folder / "adapter_model.safetensors")
        for folder in (run / "model" / "adapter", run / "model" / "checkpoint-4")
    )
    assert chosen.keys() == fourth.keys()
    for name, value in fourth.items():
        torch.testing.assert_close(chosen[name], value, rtol=0, atol=0)


@pytest.mark.slow
def test_references_of_an_adapter_beforehand_are_refused(train) -> None:
    done, run = train(LAUNCH, precompute_ref_log_probs=True, **ADAPTER)
    assert done.returncode != 0
    assert "precompute_ref_log_probs=true with an adapter can't be used under FSDP" in done.stderr
    assert not (run / "model").exists()
