"""Without the extra `train`: what needs torch says in one line what to install. Imports are blocked, in processes."""

import os
import subprocess
import sys

import pytest

BLOCKED = (
    "torch",
    "transformers",
    "trl",
    "datasets",
    "accelerate",
    "peft",
    "huggingface_hub",
    "tokenizers",
    "safetensors",
)
PREAMBLE = f"import sys; sys.modules.update(dict.fromkeys({BLOCKED}))\n"


def python(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", PREAMBLE + program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)


@pytest.mark.parametrize("verb", ["demo", "debug", "train", "evaluate"])
def test_stumble_10_a_bare_installation_says_what_to_install(run, tmp_path, verb):
    where = ["--run", str(tmp_path / "demo"), "--quick"] if verb == "demo" else ["--run", str(run)]
    few = ["--set", "evaluation.tasks=1"] if verb in ("demo", "evaluate") else []
    done = python("from iterpref.cli import main; main()", verb, *where, *few)
    assert done.returncode == 1, done.stdout
    said = done.stderr.strip().splitlines()
    assert said[-1].startswith("iterpref: ")
    assert "torch" in said[-1] and "pip install 'iterpref[train]'" in said[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["FocalDPOTrainer", "FocalDPOConfig"])
def test_stumble_10_importing_the_trainer_says_what_to_install(name):
    done = python(f"from iterpref.training import {name}")
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert "pip install 'iterpref[train]'" in last and name in last


def test_stumble_10_training_in_python_says_what_to_install(run):
    program = (
        "from iterpref.errors import IterPrefError\nfrom iterpref.training import train\n"
        "try: train(sys.argv[1], 'playground', 'out', {})\nexcept Exception as error: print(type(error).__mro__, error)"
    )
    done = python(program, str(run / "pairs"))
    assert "pip install 'iterpref[train]'" in done.stdout, done.stdout + done.stderr
    assert "IterPrefError" in done.stdout and "ImportError" in done.stdout


def test_the_data_side_runs_without_the_extra(run):
    done = python("from iterpref.cli import main; main()", "pair", "--run", str(run))
    assert done.returncode == 0, done.stderr
