"""Several trainings in one run, and what a failed or a stopped one leaves in the way, through the command line."""

import json
import os
import shutil
import subprocess
import sys
import warnings

import pytest
import torch
import yaml
from safetensors.torch import load_file
from typer.testing import CliRunner

from iterpref.cli import app

from .conftest import example_pairs, write_pairs

TRAINING = {
    "gradient_checkpointing": False,
    "use_cpu": True,
    "per_device_train_batch_size": 3,
    "max_steps": 2,
    "logging_steps": 1,
    "save_steps": 1,
    "learning_rate": 1e-3,
}


@pytest.fixture
def run(tmp_path, workshop):
    """A run folder with pairs and settings."""
    write_pairs(tmp_path / "run" / "pairs", example_pairs(chat=True))
    config = {"model": workshop(chat=True)[0], "training": TRAINING, "sandbox": {"min_isolation": "rlimits"}}
    (tmp_path / "run" / "config.yaml").write_text(yaml.safe_dump(config))
    return tmp_path / "run"


def iterpref(verb, run, *arguments):
    """Exit code, and all that was said; the message of an error is what the command line prints."""
    result = CliRunner().invoke(app, [verb, "--run", str(run), *arguments])
    said = f"{result.output}{result.exception or ''}"
    return result.exit_code, said


def assert_same_weights(one, other):
    torch.testing.assert_close(*(load_file(f / "model.safetensors") for f in (one, other)), rtol=0, atol=0)


def stop(training):
    """As if Ctrl-C had come after the first step."""
    run_file = training / "training_run.json"
    run_file.write_text(json.dumps({**json.loads(run_file.read_text()), "summary": None}))
    (training / "model.safetensors").unlink()
    shutil.rmtree(training / "checkpoint-2")


def test_defect_23_trainings_of_one_run_lie_side_by_side(run):
    assert iterpref("train", run)[0] == 0
    code, said = iterpref("train", run, "--set", "training.method=dpo", "--output", "plain")
    assert code == 0, said
    assert (
        load_file(run / "model" / "model.safetensors").keys()
        == load_file(run / "models" / "plain" / "model.safetensors").keys()
    )
    methods = [
        json.loads((run / f / "training_run.json").read_text())["summary"]["method"] for f in ("model", "models/plain")
    ]
    assert methods == ["target_rpo", "dpo"]
    few = ["--set", "evaluation.tasks=1", "--set", "evaluation.sampling.max_tokens=4", "--json"]
    results = iterpref("evaluate", run, "--model", "plain", "--model", str(run / "model"), *few)
    assert results[0] == 0, results[1]
    models = [row["model"] for row in json.loads(results[1].splitlines()[-1])["results"]]
    assert [name.split(":")[1] for name in models] == ["plain", "model"]
    assert iterpref("report", run)[0] == 0
    page = (run / "report.html").read_text()
    assert "<code>model/</code>: target_rpo" in page and "<code>models/plain/</code>: dpo" in page


def test_defect_23_restart_forgets_the_training_that_was_there(run, tmp_path):
    assert iterpref("train", run)[0] == 0
    code, said = iterpref("train", run, "--restart", "--set", "training.max_steps=1", "--set", "training.seed=5")
    assert code == 0, said
    assert sorted(path.name for path in (run / "model").glob("checkpoint-*")) == ["checkpoint-1"]
    assert iterpref("train", run, "--output", "x", "--set", "training.max_steps=1", "--set", "training.seed=5")[0] == 0
    assert_same_weights(run / "model", run / "models" / "x")


def test_defect_23_a_restart_that_fails_deletes_nothing(run, tmp_path):
    assert iterpref("train", run)[0] == 0
    code, said = iterpref("train", run, "--restart", "--set", "model=/no/such/folder")
    assert code == 1
    assert "/no/such/folder: no such folder" in said
    assert iterpref("train", run)[0] == 0
    assert (run / "model" / "checkpoint-2").is_dir()


@pytest.mark.parametrize("output", ["../elsewhere", "a/b", ".hidden", ""])
def test_an_output_is_a_plain_name(run, output):
    code, said = iterpref("train", run, "--output", output)
    assert code == 1
    assert "expected a plain name" in said


@pytest.mark.parametrize(
    "wrong", ["model=/no/such/folder", "model=nobody/nothing", "training.report_to=nosuch", "training.max_length=4"]
)
def test_stumble_2_a_failed_start_stands_in_nobodys_way(run, wrong):
    assert iterpref("train", run, "--set", wrong)[0] == 1
    assert not (run / "model" / "training_run.json").exists()
    code, said = iterpref("train", run)
    assert code == 0, said


def test_stumble_2_a_stopped_training_says_how_to_go_on(run):
    flags = ["--set", "training.method=dpo", "--set", "training.learning_rate=0.002"]
    assert iterpref("train", run, *flags)[0] == 0
    stop(run / "model")
    code, said = iterpref("train", run)
    assert code == 1
    assert "a training that was stopped (step 1 is kept) with other settings" in said
    assert "learning_rate: 0.002 there, 0.001 now; method: 'dpo' there, not given now. " in said
    assert "give its settings again: --set training.learning_rate=0.002 --set 'training.method=\"dpo\"'. " in said
    assert "--output NAME" in said and "--restart" in said
    code, said = iterpref("train", run, *flags, "--json")
    assert code == 0, said
    assert json.loads(said.splitlines()[-1])["resumed_step"] == 1


def test_stumble_2_a_finished_training_says_the_ways_out(run, workshop):
    assert iterpref("train", run)[0] == 0
    other = workshop("gpt2", chat=True)[0]
    code, said = iterpref("train", run, "--set", f"model={other}")
    assert code == 1
    assert "holds a finished training with other settings: model: " in said
    assert f"{other} (" in said, "the names of the models, not their hashes alone"
    assert "--output NAME" in said and "--restart" in said


def test_stumble_13_a_training_ends_in_lines_for_people(run):
    code, said = iterpref("train", run)
    assert code == 0, said
    lines = dict(line.split(": ", 1) for line in said.splitlines() if ": " in line)
    assert lines["dropped"] == "none"
    assert lines["steps"] == "2"
    assert "{" not in "".join(lines[name] for name in ("dropped", "steps", "validation"))
    assert "metrics" not in lines


def test_stumble_13_a_training_on_a_cpu_warns_of_nothing_pinned(run):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        code, said = iterpref("train", run, "--set", "training.use_cpu=false")  # as it is by default
    assert code == 0, said
    assert [str(warning.message) for warning in caught if "pin_memory" in str(warning.message)] == []


def test_stumble_13_no_pairs_are_told_before_torch_is_loaded(tmp_path):
    program = (
        "import sys; from iterpref.errors import RecordError; from iterpref.training import train\n"
        "try: train(sys.argv[1], 'playground', 'out', {})\n"
        "except RecordError as error: print(error, '| loaded:', *{'torch', 'trl', 'datasets'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert "no Parquet files here" in done.stdout and "run `iterpref pair` first" in done.stdout, done.stderr
    assert done.stdout.strip().endswith("| loaded:")


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("per_device_train_batch_size=0", "per_device_train_batch_size=0 can't be used; expected 1 or more"),
        ("gradient_accumulation_steps=0", "gradient_accumulation_steps=0 can't be used; expected 1 or more"),
        ("learning_rate=-1", "learning_rate=-1 can't be used; expected 0 or more"),
        ("num_train_epochs=0", "num_train_epochs=0 can't be used; expected more than 0"),
        ("save_steps=0", "save_steps=0 can't be used; expected more than 0"),
        ("max_steps=0", "max_steps=0 can't be used; expected 1 or more"),
    ],
)
def test_bad_input_numbers_that_no_training_can_have(run, number, expected):
    code, said = iterpref("train", run, "--set", f"training.{number}")
    assert code == 1
    assert f"training: {expected}" in said
    assert not (run / "model").exists()
