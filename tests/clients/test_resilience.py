"""500 tasks through a real server, with a fifth of the requests spoiled and the command killed again and again."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from endpoints import FaultyProxy

from iterpref.playground.coder import coder_path
from iterpref.playground.tasks import playground_tasks
from iterpref.records import Trajectory
from iterpref.store import Store

TASKS, CONCURRENCY, KILL_EVERY_S = 500, 32, 20.0


def start(run: Path, url: str) -> subprocess.Popen[str]:
    values = {
        "client.kind": "openai", "client.model": coder_path(), "client.base_url": url, "client.timeout_s": 15,
        "client.concurrency": CONCURRENCY, "client.identity": "coder", "client.max_attempts": 12,
        "debugging.max_iterations": 5, "debugging.sampling.temperature": 0, "debugging.sampling.max_tokens": 128,
    }  # fmt: skip
    line = [sys.executable, "-m", "iterpref", "debug", "--run", str(run)]
    for key, value in values.items():
        line += ["--set", f"{key}={value}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(line, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True)


def prepare(folder: Path) -> Path:
    with Store.open(folder) as store:
        store.put_tasks(playground_tasks("train", TASKS))
    return folder


def timeless(trajectory: Trajectory) -> object:
    values = trajectory.model_dump(mode="json")
    for attempt in values["attempts"]:
        for measured in ("wall_s", "cpu_s", "max_rss_bytes"):
            del attempt["execution"][measured]
    return values


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_faults_and_kills_change_nothing(coder_server: int, tmp_path: Path) -> None:
    undisturbed, disturbed = prepare(tmp_path / "undisturbed"), prepare(tmp_path / "disturbed")
    process = start(undisturbed, f"http://127.0.0.1:{coder_server}/v1")
    _, said = process.communicate(timeout=1200)
    assert process.returncode == 0, said

    kills = 0
    with FaultyProxy(coder_server, rate=0.2) as proxy:
        while True:
            process = start(disturbed, proxy.url)
            try:
                _, said = process.communicate(timeout=KILL_EVERY_S)
                assert process.returncode == 0, said
                break
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
                kills += 1
        time.sleep(0.1)
    assert kills >= 2, "too fast to be a test"
    with Store.open(undisturbed, write=False) as store, Store.open(disturbed, write=False) as other:
        expected = [timeless(trajectory) for trajectory in store.trajectories()]
        assert len(expected) == TASKS
        assert [timeless(trajectory) for trajectory in other.trajectories()] == expected
        calls = other.count("calls")
        assert calls == store.count("calls")
    faults = proxy.faults.total()
    print(f"requests {proxy.requests}, calls {calls}, faults {faults} {dict(proxy.faults)}, kills {kills}")
    assert faults > 0.15 * proxy.requests
    assert proxy.requests <= calls + faults + kills * CONCURRENCY
