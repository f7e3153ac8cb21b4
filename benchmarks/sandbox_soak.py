"""Many runs in a row: is the memory flat, is the rate steady, is anything left?

Called by `benchmarks/sandbox.py --soak N`. Blocks of runs alternate with a control, fresh interpreters, because a
shared machine's speed drifts: what counts is the rate relative to the control, in the second half against the first.
"""

import gc
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from iterpref.records import TestFile
from iterpref.sandbox import Job, Sandbox
from iterpref.sandbox.inside.linux.processes import descendants

BLOCKS = 20
CONTROLS = 40
PROGRAMS = (
    ("def f(x):\n    return x + 1\n", "passed"),
    ("def f(x):\n    return x\n", "failed"),
    ("def f(x):\n    return [][x]\n", "error"),
    ("import os\nos._exit(0)\n", "exited_early"),
    (
        "import subprocess\nsubprocess.Popen(['sleep', '600'], start_new_session=True)\ndef f(x): return x + 1\n",
        "passed",
    ),
)


def soak(runs: int) -> dict[str, float]:
    """Run `runs` programs on one worker and print what changed."""
    tests = (TestFile(path="test_it.py", content="assert f(1) == 2\nassert f(2) == 3\n"),)
    jobs = [(Job(program=program, tests=tests, style="assert"), verdict) for program, verdict in PROGRAMS]
    before = _state()
    with Sandbox(workers=1) as sandbox:
        for job, verdict in jobs * 20:  # warm up
            assert sandbox.run(job).verdict == verdict
        gc.collect()
        start_bytes, start_fds = _resident_bytes(), len(os.listdir("/proc/self/fd"))
        rates = []
        for block in range(BLOCKS):
            control_s = _control()
            started = time.perf_counter()
            for number in range(runs // BLOCKS):
                job, verdict = jobs[number % len(jobs)]
                found = sandbox.run(job)
                assert found.verdict == verdict, (found.verdict, found.error)
            run_s = (time.perf_counter() - started) / (runs // BLOCKS)
            rates.append((control_s + _control()) / 2 / run_s)
            print(f"block {block:2}: {1 / run_s:6.1f} a second, {rates[-1]:.2f} times python -c, {_resident_bytes()} B")
        gc.collect()
        grown, fds = _resident_bytes() - start_bytes, len(os.listdir("/proc/self/fd")) - start_fds
        rung = sandbox.isolation
    left = sorted(name for name in _state() - before if not _of_another(name))
    steady = statistics.median(rates[BLOCKS // 2 :]) / statistics.median(rates[: BLOCKS // 2])
    print(f"{runs} runs on {rung}: host memory grew by {grown} B, descriptors by {fds}; rate relative to the control,")
    print(f"second half over first half: {steady:.3f}; left over: {left or 'nothing'}")
    found_numbers = {"soak_runs": runs, "soak_grown_bytes": grown, "soak_rate_end_over_start": round(steady, 3)}
    print(json.dumps(found_numbers | {"soak_left": len(left)}))
    return found_numbers | {"soak_left": len(left)}


def _of_another(name: str) -> bool:
    """Whether a folder or control group belongs to a sandbox of another process, which lives."""
    maker = re.search(r"iterpref-sandbox-(\d+)", name)
    return maker is not None and Path(f"/proc/{maker[1]}").exists()


def _control() -> float:
    """Seconds of a fresh interpreter."""
    started = time.perf_counter()
    for _ in range(CONTROLS):
        subprocess.run([sys.executable, "-c", "pass"], check=True)
    return (time.perf_counter() - started) / CONTROLS


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def _state() -> set[str]:
    """Everything a run could leave: processes, mounts, folders, control groups."""
    found = {f"process {pid}" for pid in descendants(os.getpid())}
    found |= set(Path("/proc/self/mountinfo").read_text().splitlines())
    found |= {str(path) for path in Path(tempfile.gettempdir()).glob("iterpref-sandbox-*")}
    groups = (
        path for pattern in ("*", "*/*", "*/*/*") for path in Path("/sys/fs/cgroup").glob(f"{pattern}/iterpref-*")
    )
    return found | {str(path) for path in groups}
