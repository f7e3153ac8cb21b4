"""A disk that is too small or fills up, for real: a tmpfs of a few hundred kilobytes. No trained weight is lost."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from iterpref.errors import TrainingError
from iterpref.training.train import train

from .conftest import example_pairs, write_pairs

CONFIG = {
    "gradient_checkpointing": False,
    "use_cpu": True,
    "per_device_train_batch_size": 3,
    "max_steps": 4,
    "logging_steps": 1,
    "save_steps": 2,
    "learning_rate": 1e-3,
}


@pytest.fixture
def small_disk(tmp_path):
    """`small_disk(size)` mounts a filesystem of that many bytes."""
    mounted = []

    def mount(size: int) -> Path:
        place = tmp_path / "small"
        place.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], capture_output=True)
        if done.returncode:
            pytest.skip(f"needs root, to mount a small filesystem: {done.stderr.decode().strip()}")
        mounted.append(place)
        return place

    yield mount
    for place in mounted:
        subprocess.run(["umount", "--lazy", place], check=True)


@pytest.fixture
def run(tmp_path, workshop):
    """`run(out, on_step, **changes)` trains; → the summary, or the error."""
    pairs, model = write_pairs(tmp_path / "pairs", example_pairs(chat=True)), workshop(chat=True)[0]

    def start(out, on_step=lambda step: None, **changes):
        try:
            return train(pairs, model, out, {**CONFIG, **changes}, on_progress=lambda step, *_: on_step(step))
        except Exception as error:
            return error

    return start


def fill(disk: Path, leave: int = 0) -> None:
    """Use up the room of a disk but for `leave` bytes."""
    with (disk / "filler").open("ab") as filler:
        filler.write(b"x" * max(shutil.disk_usage(disk).free - leave, 0))


def assert_same_weights(one, other):
    torch.testing.assert_close(*(load_file(f / "model.safetensors") for f in (one, other)), rtol=0, atol=0)


def test_bad_input_a_disk_too_small_is_told_before_the_first_step(small_disk, run):
    disk, steps = small_disk(400_000), []
    told = run(disk / "out", steps.append)
    assert isinstance(told, TrainingError), told
    assert re.search(
        r"needs about [\d.]+ kB on this disk, for 2 checkpoints of .* kB are free\. .*save_total_limit", str(told)
    )
    assert not any(steps)
    assert not (disk / "out" / "training_run.json").exists()
    summary = run(disk / "out", save_strategy="no")
    assert getattr(summary, "steps", summary) == 4, "the advice is good: other settings begin in the same folder"


def test_bad_input_precomputed_references_without_room_are_one_line(small_disk, run):
    disk = small_disk(400_000)
    fill(disk, leave=4096)
    told = run(disk / "out", precompute_ref_log_probs=True, save_strategy="no")
    assert isinstance(told, TrainingError), repr(told)
    assert "no room left on the disk, " in str(told) and "\n" not in str(told)


def test_bad_input_a_checkpoint_without_room_is_left_out(small_disk, run, tmp_path, caplog):
    disk = small_disk(4_000_000)

    def on_step(step):
        if step == 1:
            fill(disk, leave=100_000)
        if step == 3:
            (disk / "filler").unlink(missing_ok=True)

    summary = run(disk / "out", on_step)
    assert getattr(summary, "steps", summary) == 4
    assert "no room for the checkpoint of step 2, so it is left out" in caplog.text
    assert [path.name for path in (disk / "out").glob("checkpoint-*")] == ["checkpoint-4"]
    assert run(tmp_path / "undisturbed").steps == 4
    assert_same_weights(disk / "out", tmp_path / "undisturbed")


def test_bad_input_a_finished_model_without_room_stays_in_the_last_checkpoint(small_disk, run, tmp_path):
    disk = small_disk(4_000_000)

    def on_step(step):
        if (disk / "out" / "checkpoint-4" / "complete.json").is_file():
            fill(disk)

    told = run(disk / "out", on_step)
    assert isinstance(told, TrainingError), told
    assert re.search(r"training is done, but the disk has no room .*All is in .*checkpoint-4", str(told))
    assert not (disk / "out" / "model.safetensors").exists(), "half a model"
    (disk / "filler").unlink()
    again = run(disk / "out")
    assert (again.resumed_step, again.steps) == (4, 4)
    assert_same_weights(disk / "out", disk / "out" / "checkpoint-4")


def test_bad_input_trained_weights_find_another_disk(small_disk, run, tmp_path):
    disk = small_disk(4_000_000)
    told = run(disk / "out", lambda step: fill(disk, leave=50_000) if step == 3 else None, save_strategy="no")
    assert isinstance(told, TrainingError), told
    place = Path(re.search(r"It is whole in (\S+) instead: make room, then (cp .*) finishes", str(told))[1])
    try:
        (disk / "filler").unlink()
        subprocess.run(re.search(r"then (cp .*) finishes", str(told))[1], shell=True, check=True)
        assert run(disk / "out", save_strategy="no").repeated
        run(tmp_path / "undisturbed", save_strategy="no")
        assert_same_weights(disk / "out", tmp_path / "undisturbed")
    finally:
        shutil.rmtree(place)
    assert os.listdir(disk / "out").count(".unfinished") == 0
