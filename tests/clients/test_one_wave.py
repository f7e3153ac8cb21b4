"""Stages that ask about many things at once, with a client of batches, through the command line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from endpoints import BatchServer, completion

DRAFTS = 70


def synthesize(run: Path, url: str, own: Path, *options: str) -> subprocess.CompletedProcess[str]:
    client = {"kind": "openai", "model": "m", "base_url": url, "batch": "true", "batch_poll_s": 0.05, "max_attempts": 1}
    settings = [f"client.{key}={value}" for key, value in client.items()]
    settings += [f"synthesis.instructions={own}", f"synthesis.tasks={DRAFTS}"]
    command = [sys.executable, "-m", "iterpref", "synthesize", "--run", str(run), *options]
    command += [word for setting in settings for word in ("--set", setting)]
    environment = {**os.environ, "OPENAI_API_KEY": "k"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture
def own(tmp_path: Path) -> Path:
    own = tmp_path / "own.jsonl"
    own.write_text("".join(json.dumps({"prompt": f"Write a function that adds {i}."}) + "\n" for i in range(DRAFTS)))
    return own


def test_defect_18_a_batch_holds_all_requests_there_are(tmp_path: Path, own: Path) -> None:
    with BatchServer(lambda _: (200, completion("No."))) as server:
        synthesize(tmp_path / "run", server.url, own)
    assert [len(batch) for batch in server.batches] == [DRAFTS]


def test_what_was_unusable_is_counted_in_json(tmp_path: Path, own: Path) -> None:
    with BatchServer(lambda _: (200, completion("No."))) as server:
        said = json.loads(synthesize(tmp_path / "run", server.url, own, "--json").stdout.strip().splitlines()[-1])
    assert said["unusable"] == {"no instruction": DRAFTS}
