"""A program that sends itself a signal ends as on a plain machine, on every rung."""

import subprocess
import sys
import textwrap

import pytest
from jobs import job

from iterpref.sandbox import Sandbox

SENDS = {
    "os.kill(os.getpid(), signal.SIGTERM)": "SIGTERM",
    "os.kill(os.getpid(), signal.SIGKILL)": "SIGKILL",
    "os.kill(os.getpid(), 40)": "signal 40",
    "os.killpg(0, signal.SIGUSR1)": "SIGUSR1",
    "os.kill(0, signal.SIGUSR2)": "SIGUSR2",
    "signal.raise_signal(signal.SIGHUP)": "SIGHUP",
    "signal.pthread_kill(threading.main_thread().ident, signal.SIGQUIT)": "SIGQUIT",
    "os.abort()": "SIGABRT",
    "signal.alarm(1); time.sleep(5)": "SIGALRM",
    "threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGTERM)).start(); time.sleep(5)": "SIGTERM",
}
SURVIVES = (
    "signal.signal(signal.SIGTERM, lambda *_: got.append(1)); os.kill(os.getpid(), signal.SIGTERM)",
    "signal.signal(signal.SIGTERM, signal.SIG_IGN); os.kill(os.getpid(), signal.SIGTERM); got.append(1)",
    "os.kill(os.getpid(), 0); os.kill(os.getpid(), signal.SIGCHLD); signal.raise_signal(28); got.append(1)",
    "signal.signal(signal.SIGALRM, lambda *_: got.append(1)); signal.alarm(1); time.sleep(5); signal.alarm(0)",
    "signal.pthread_sigmask(0, [10]); signal.raise_signal(10); got.append(signal.sigwait([10]) == 10)",
    "signal.alarm(5); signal.alarm(0); got.append(1)",
    "child = subprocess.Popen(['sleep', '9']); os.kill(child.pid, 15); got.append(child.wait() == -15)",
    "child = os.fork() or os.kill(os.getpid(), 15); got.append(os.waitstatus_to_exitcode(os.wait()[1]) == -15)",
    "try:\n    os.kill(os.getpid(), signal.SIGINT); time.sleep(1)\n  except KeyboardInterrupt: got.append(1)",
)
IMPORTS = "import os, signal, subprocess, threading, time\n"


@pytest.mark.parametrize("send", SENDS)
def test_it_dies_of_it(sandbox: Sandbox, send: str) -> None:
    for program in (f"{IMPORTS}def f():\n  {send}\n  return 1", f"{IMPORTS}{send}\ndef f(): return 1"):
        for tests in ("assert f() == 1", "class Opaque: pass\nassert f() == 1 and [Opaque]"):
            found = sandbox.run(job(program, tests))
            assert (found.verdict, found.error_type) == ("crashed", SENDS[send]), found.text
    assert sandbox.run(job("def f(): return 1", "assert f() == 1")).passed


@pytest.mark.parametrize("send", SURVIVES)
def test_it_lives_on_where_it_should(sandbox: Sandbox, send: str) -> None:
    found = sandbox.run(job(f"{IMPORTS}def f():\n  got = []\n  {send}\n  return got", "assert f() in ([1], [True])"))
    assert found.passed, found.text


def test_a_script_says_so_by_its_status(sandbox: Sandbox) -> None:
    script = job(f"{IMPORTS}print(1, flush=True)\nos.kill(os.getpid(), 15)\nprint(2)", "", "stdio")
    found = sandbox.run_script(script)
    assert (found.status, found.stdout) == (-15, "1\n")


def test_what_the_host_ignores_and_blocks_is_not_passed_on() -> None:
    """As under `nohup`, in a shell's background, or in a thread that keeps signals for another one."""
    script = """
        import signal, sys
        for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGALRM])
        from iterpref.records import TestFile
        from iterpref.sandbox import Job, Sandbox
        test = (TestFile(path="t.py", content="assert f() == 1"),)
        with Sandbox(workers=1, min_isolation="rlimits") as sandbox:
            for name in ("SIGHUP", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGALRM", "SIGINT"):
                program = f"import signal\\ndef f():\\n  signal.raise_signal(signal.{name})\\n  return 1"
                print(sandbox.run(Job(program=program, tests=test, style="assert")).error_type)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=60)
    expected = ["SIGHUP", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGALRM", "KeyboardInterrupt"]
    assert done.stdout.split() == expected, done.stderr
