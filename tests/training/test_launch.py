"""`accelerate launch -m iterpref train` for real: two processes on a CPU train what one process trains."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from .conftest import example_pairs, write_pairs

TRAINING = {
    "per_device_train_batch_size": 2,
    "num_train_epochs": 2,
    "learning_rate": 1e-3,
    "logging_steps": 1,
    "save_steps": 2,
    "gradient_checkpointing": False,
    "precompute_ref_log_probs": True,
    "report_to": "none",
}
LAUNCH = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes=2", "--num_machines=1"]
LAUNCH += ["--mixed_precision=no", "--dynamo_backend=no", "--main_process_port=0"]


def make_run(folder: Path, model: str, **training) -> Path:
    write_pairs(folder / "pairs", example_pairs(chat=True, count=8))
    config = {"model": model, "training": {**TRAINING, **training}}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder


def start(run: Path, launcher: list[str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *launcher, "-m", "iterpref", "train", "--run", str(run), "--json"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=500)


@pytest.mark.slow
@pytest.mark.parametrize("adapter", [{}, {"use_peft": True, "lora_r": 4}], ids=["all weights", "adapter"])
def test_two_processes_train_what_one_trains(tmp_path, workshop, adapter):
    """The same batches: two processes with one each, or one process that accumulates two."""
    model = workshop(chat=True)[0]
    two = start(make_run(tmp_path / "two", model, **adapter), LAUNCH)
    assert two.returncode == 0, two.stderr[-3000:]
    one = start(make_run(tmp_path / "one", model, gradient_accumulation_steps=2, use_cpu=True, **adapter), [])
    assert one.returncode == 0, one.stderr[-3000:]
    summaries = [[json.loads(line) for line in done.stdout.splitlines() if line[:1] == "{"] for done in (two, one)]
    assert [len(found) for found in summaries] == [1, 1], "the first process alone has a summary"
    (of_two,), (of_one,) = summaries
    assert of_two["steps"] == of_one["steps"] == 4
    assert of_two["train_loss"] == pytest.approx(of_one["train_loss"], rel=1e-4)
    weights = [load_file(tmp_path / name / "model" / "model.safetensors") for name in ("two", "one")]
    before = load_file(Path(model) / "model.safetensors")
    for name, value in weights[1].items():
        torch.testing.assert_close(weights[0][name], value, rtol=1e-3, atol=2e-5)
    assert any(not torch.allclose(before[name], value, atol=1e-4) for name, value in weights[1].items())
    again = start(tmp_path / "two", LAUNCH)
    assert json.loads(again.stdout.splitlines()[-1])["repeated"] is True


@pytest.mark.slow
def test_processes_that_form_no_group_are_refused(tmp_path, workshop):
    """As after `accelerate launch` with a setting that makes each process believe it is alone."""
    run = make_run(tmp_path / "run", workshop(chat=True)[0])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "WORLD_SIZE": "2", "RANK": "0"}
    program = (
        "import accelerate.state as s; s.PartialState(); import torch; torch.accelerator.is_available = lambda: True\n"
        "from iterpref.cli import main; import sys; sys.argv = ['iterpref', 'train', '--run', sys.argv[1]]; main()"
    )
    done = subprocess.run([sys.executable, "-c", program, str(run)], capture_output=True, text=True, env=environment)
    assert done.returncode == 1
    assert "the launcher started 2 processes, but this one is in a group of 1" in done.stderr
    assert not (run / "model").exists()
