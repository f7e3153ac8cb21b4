"""A node dies in the middle, and nothing is lost or doubled."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from iterpref import pipeline
from iterpref.config.load import parse_config
from iterpref.opened_run import OpenedRun
from iterpref.store import Store
from test_shards import TASKS, VALUES, prepare, records


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs Ray: pip install 'iterpref[ray]'")
@pytest.mark.parametrize("what", ["shards", "grading"])
def test_a_node_dies(tmp_path: Path, what: str) -> None:
    serial, run = prepare(tmp_path / "serial"), prepare(tmp_path / "run")
    with Store.open(serial) as store:
        pipeline.debug(OpenedRun(store, parse_config(VALUES)))
    (run / "values.json").write_text(json.dumps(VALUES))
    # Only loopback exists in there: Ray must not meet other machines or be met by them.
    inside = f"ip link set lo up; exec {sys.executable} {Path(__file__).parent / 'ray_cluster.py'} {run} {what}"
    alone = ["unshare", "--map-root-user", "--net", "bash", "-c", inside]
    if shutil.which("unshare") is None or subprocess.run([*alone[:3], "true"], check=False).returncode:
        pytest.skip("needs a network namespace of its own (unshare --net)")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    done = subprocess.run(alone, capture_output=True, text=True, env=environment, timeout=500)
    assert done.returncode == 0, done.stderr[-3000:]
    [line] = [line for line in done.stdout.splitlines() if line.startswith('{"done"')]  # among words of Ray's own
    said = json.loads(line)
    assert (said["done"], said["killed"]) == (TASKS, True)
    assert sum(said["calls_at_kill"].values()) > 0
    assert _anywhere(records(run)) == _anywhere(records(serial))
    with Store.open(run, write=False) as store, Store.open(serial, write=False) as other:
        for table in ("tasks", "trajectories", "attempts", "calls", "executions"):
            assert store.count(table) == other.count(table), table


def _anywhere(trajectories: list[object]) -> list[object]:
    """Without what the namespace around Ray changes: the sandbox's rung, and its warning."""
    for trajectory in trajectories:
        for attempt in trajectory["attempts"]:  # type: ignore[index]
            del attempt["execution"]["isolation"], attempt["execution"]["warnings"]
    return trajectories
