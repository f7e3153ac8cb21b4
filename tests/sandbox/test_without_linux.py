"""A system without Linux's calls, as macOS: the rung `rlimits` starts, runs and limits; the others are refused.

There is none here, so the calls are hidden: from this package in a process of its own, and from its workers.
"""

import json
import subprocess
import sys
from typing import Any

import pytest

HIDE = """
import builtins, os, sys
sys.platform = "darwin"
for name in ("memfd_create", "pidfd_open", "waitid", "waitid_result", "P_PID", "P_PIDFD", "setresuid", "setresgid",
             "getresuid", "sched_getaffinity", "sched_setaffinity", "pipe2", "eventfd", "unshare", "setns", "O_PATH",
             "splice", "copy_file_range", "posix_fadvise", "getrandom", "MFD_CLOEXEC", "O_TMPFILE", "sendfile_flags"):
    os.__dict__.pop(name, None)
import resource, select, signal, socket
for module, names in ((resource, ("prlimit", "RLIMIT_OFILE", "RLIMIT_MSGQUEUE", "RLIMIT_NICE", "RLIMIT_SIGPENDING")),
                      (select, ("epoll",)), (signal, ("pidfd_send_signal",)), (socket, ("SO_PEERCRED",))):
    for name in names:
        module.__dict__.pop(name, None)
def hidden(function):
    def without_proc(path, *arguments, **named):
        if isinstance(path, str) and path.startswith("/proc"):
            raise FileNotFoundError(2, "No such file or directory", path)
        return function(path, *arguments, **named)
    return without_proc
for name in ("open", "listdir", "stat", "scandir", "readlink"):
    setattr(os, name, hidden(getattr(os, name)))
builtins.open = hidden(open)
"""
SCRIPT = """
import json, sys, warnings
warnings.simplefilter("ignore", RuntimeWarning)
from iterpref.errors import SandboxError
from iterpref.records import Limits, TestFile
from iterpref.sandbox import Job, Sandbox
from iterpref.sandbox.workers.worker import Worker
Worker.main = HIDE + "\\n" + Worker.main

def job(program, **limits):
    test = TestFile(path="test_it.py", content="assert f(1) == 2")
    return Job(program=program, tests=(test,), style="assert", limits=Limits(**limits))

found = {}
try:
    Sandbox(workers=1)
except SandboxError as error:
    found["refused"] = str(error)
with Sandbox(workers=1, min_isolation="rlimits") as sandbox:
    found["isolation"] = sandbox.isolation
    for name, one in {
        "right": job("def f(x): return x + 1"),
        "wrong": job("def f(x): return x"),
        "raises": job("def f(x): return [][x]"),
        "prints": job("def f(x):\\n  print(input()); return 2").model_copy(update={"stdin": "hello"}),
        "endless": job("def f(x):\\n  while True: pass", cpu_s=0.3, wall_s=5.0),
        "sleeps": job("def f(x):\\n  import time; time.sleep(9)", wall_s=0.3),
        "leaves": job("import os\\nos._exit(0)"),
        "starts others": job("import subprocess\\ndef f(x): return int(subprocess.check_output(['echo', '2']))"),
        "floods": job("def f(x):\\n  while True: print('x' * 10000)"),
        "writes": job("open('a.txt', 'w').write('2')\\ndef f(x): return int(open('a.txt').read())"),
        "right again": job("def f(x): return x + 1"),
    }.items():
        found[name] = sandbox.run(one, retry_timeout=False).verdict
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    first = "import pydantic.main, subprocess, sysconfig; sysconfig.get_config_vars()"  # asked before hiding
    script = f"HIDE = {HIDE!r}\n{first}\nexec(HIDE)\n{SCRIPT}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_rlimits_runs_programs(found: dict[str, Any]) -> None:
    verdicts = {name: verdict for name, verdict in found.items() if name not in ("refused", "isolation")}
    assert found["isolation"] == "rlimits"
    assert verdicts == {
        "right": "passed", "wrong": "failed", "raises": "error", "prints": "passed", "endless": "timeout",
        "sleeps": "timeout", "leaves": "exited_early", "starts others": "passed", "floods": "output_limit",
        "writes": "passed", "right again": "passed",
    }  # fmt: skip


def test_without_being_asked_it_runs_nothing(found: dict[str, Any]) -> None:
    assert "got isolation 'rlimits', expected at least 'landlock'" in found["refused"]
    assert "min_isolation='rlimits' runs without isolation" in found["refused"]
