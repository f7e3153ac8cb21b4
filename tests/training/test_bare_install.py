"""Without the extras: what needs torch says in one line what to install. Imports are blocked, in processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EVERY_VERB = Path(__file__).parents[1] / "face" / "every_verb.py"

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
    "fastapi",
    "starlette",
    "uvicorn",
    "prometheus_client",
)
PREAMBLE = f"import sys; sys.modules.update(dict.fromkeys({BLOCKED}))\n"


def python(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", PREAMBLE + program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)


def test_stumble_10_every_verb_runs_or_says_what_to_install(tmp_path):
    """The program that the release check runs where the extras really aren't installed."""
    done = python(f"import runpy; runpy.run_path({str(EVERY_VERB)!r}, run_name='__main__')", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert len([line for line in done.stdout.splitlines() if line.startswith("fine ")]) > 20


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
