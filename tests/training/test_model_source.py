"""A model that is absent or lacks a part: one line, soon, for whatever loads it, and nothing in the next try's way."""

import os
import shutil
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from iterpref.cli import app
from iterpref.errors import ClientError

VERBS = {
    "train": lambda model: ["--set", f"model={model}", "--set", "training.use_cpu=true"],
    "evaluate": lambda model: ["--model", model, "--set", "evaluation.tasks=1"],
    "debug": lambda model: ["--set", f"client.model={model}"],
    "pair": lambda model: ["--set", f"pairing.tokenizer={model}"],
}


def refusal(verb, run, model) -> str:
    """The line that the command ends with."""
    result = CliRunner().invoke(app, [verb, "--run", str(run), *VERBS[verb](str(model))])
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, ClientError), repr(result.exception)
    message = str(result.exception)
    assert "\n" not in message
    assert not (run / "model").exists()
    return message


@pytest.mark.parametrize("verb", VERBS)
def test_bad_input_a_model_path_that_does_not_exist(run, tmp_path, verb):
    message = refusal(verb, run, tmp_path / "absent")
    assert f"model {tmp_path / 'absent'}: no such folder; a hub id has the form owner/name" in message


@pytest.mark.parametrize("verb", VERBS)
def test_bad_input_a_model_folder_without_a_tokenizer(run, tmp_path, workshop, verb):
    shutil.copytree(workshop(chat=True)[0], tmp_path / "bare")
    for path in (tmp_path / "bare").glob("*token*"):
        path.unlink()
    message = refusal(verb, run, tmp_path / "bare")
    assert "the folder has no tokenizer (tokenizer.json, tokenizer_config.json), only " in message
    assert "config.json, " in message and "model.safetensors" in message


@pytest.mark.parametrize("verb", ["train", "evaluate", "debug"])
def test_a_training_that_is_not_finished_is_no_model(run, verb):
    (run / "models" / "half").mkdir(parents=True)
    (run / "models" / "half" / "training_run.json").write_text("{}")
    message = refusal(verb, run, run / "models" / "half")
    assert "holds a training that isn't finished; `iterpref train` goes on with it" in message


@pytest.mark.parametrize("verb", ["train", "debug"])
def test_bad_input_a_hub_that_cannot_be_reached(run, tmp_path, verb):
    """Nothing listens at this address. The hub's client would ask twelve times in a minute, and say so each time."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "HF_ENDPOINT": "http://127.0.0.1:9"}
    environment |= {"HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path / "cache")}
    command = [sys.executable, "-m", "iterpref", verb, "--run", str(run), *VERBS[verb]("owner/name")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=200)
    assert done.returncode == 1
    words = ("iterpref: ", "http", "etry")  # the first line of the command says its model too
    said = [line for line in done.stderr.splitlines() if any(word in line for word in words)]
    assert len(said) == 1, done.stderr
    assert "model owner/name: no such folder, not in the hub's cache" in said[0]
    assert "http://127.0.0.1:9 can't be reached" in said[0]
    assert not (run / "model").exists()
