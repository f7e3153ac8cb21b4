"""A run that can't be written to is read all the same."""

import ctypes
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from iterpref.records import Attempt, Execution, Task, TestFile, Trajectory
from iterpref.store import Store

PR_CAPBSET_DROP, OVERRIDES = 24, (1, 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
Iterpref = subprocess.CompletedProcess[str]


@pytest.fixture
def run() -> Iterator[Path]:
    """A run folder with a trajectory, to be made read-only."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "run"
        with Store.open(folder) as store:
            tests = (TestFile(path="t.py", content="assert f(1) == 2"),)
            store.put_tasks([Task(task_id="a", prompt="Add one.", tests=tests, style="assert")])
            execution = Execution(verdict="passed", trust="oracle", isolation="zygote")
            made = Attempt(iteration=0, program="f = lambda x: x + 1", completion="", execution=execution)
            store.put_execution("k", execution)
            store.put_attempt("a:debugging", "a", made, "k")
            store.put_trajectory(
                Trajectory(trajectory_id="a:debugging", task_id="a", attempts=(made,), status="passed", client="m")
            )
        yield folder
        os.chmod(folder, 0o755)


def iterpref(*arguments: object) -> Iterpref:
    command = [sys.executable, "-m", "iterpref", *map(str, arguments)]
    return subprocess.run(command, preexec_fn=obey_modes, capture_output=True, text=True, timeout=100)


def obey_modes() -> None:
    """Root may write anywhere, unless it starts a program without that right."""
    libc = ctypes.CDLL(None)
    for right in OVERRIDES if os.geteuid() == 0 else ():
        libc.prctl(PR_CAPBSET_DROP, right, 0, 0, 0)


def close(folder: Path) -> None:
    for path in folder.iterdir():
        os.chmod(path, 0o444)
    os.chmod(folder, 0o555)


def test_bad_input_a_read_only_run_can_be_exported(run: Path) -> None:
    close(run)
    output = run.parent / "out.jsonl"
    done = iterpref("export", output, "--run", run)
    assert done.returncode == 0, done.stderr
    assert '"trajectory_id": "a:debugging"' in output.read_text()


def test_bad_input_a_report_that_cannot_be_written_says_so(run: Path) -> None:
    close(run)
    done = iterpref("report", "--run", run)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "can't write the report there (Permission denied); the run itself can be read" in done.stderr


def test_bad_input_rows_that_only_the_log_has_are_not_left_out_unsaid(run: Path) -> None:
    """What a killed writer left: a database with its log, without the file that readers share."""
    with Store.open(run) as store:
        store.put_note("later", 1)
        log = (run / "run.sqlite-wal").read_bytes()
    (run / "run.sqlite-wal").write_bytes(log)
    close(run)
    done = iterpref("export", run.parent / "out.jsonl", "--run", run)
    assert done.returncode == 1
    assert "the last rows are still in run.sqlite-wal" in done.stderr
