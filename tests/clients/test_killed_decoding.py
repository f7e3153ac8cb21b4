"""A local model that is killed while it decodes loses the rows that ran, and no other."""

import signal
import subprocess
import sys
from pathlib import Path

from iterpref.store import Store

# Dies without a word in the middle of a step, once so many answers have ended and a few more steps were made.
PROGRAM = """
import os, signal, sys
from iterpref.cli import app
from iterpref.clients.local.engine import Engine

ended, after, step = [], [], Engine.step

def dying(engine):
    if len(ended) >= 5:
        after.append(1)
    if len(after) > 4:
        print(len(ended), len(engine._running), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    left = step(engine)
    if engine._most_rows == 4:  # not the trial of a model that was loaded
        ended.extend(left)
    return left

Engine.step = dying
app()
"""


def test_every_answer_is_stored_when_it_ends(tmp_path: Path) -> None:
    words = ["evaluate", "--run", tmp_path / "run", "--set", "evaluation.tasks=12", "--set", "client.batch_size=4",
             "--set", "sandbox.min_isolation=rlimits"]  # fmt: skip
    killed = subprocess.run([sys.executable, "-c", PROGRAM, *map(str, words)], capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    ended, running = map(int, killed.stdout.split())
    assert ended >= 5 and running
    with Store.open(tmp_path / "run") as store:
        assert len(list(store.calls())) == ended
    done = subprocess.run([sys.executable, "-m", "iterpref", *map(str, words)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with Store.open(tmp_path / "run") as store:
        assert len(list(store.calls())) == 12
