"""The worker process: isolate once, then fork one confined child a run, serially, until the host hangs up.

The host's first message is the setup, every other one a run; back go, for each run, how it ended and the raw bytes of
its pipes. Never imports a program. Two processes: the launcher, which outlives nothing (it watches the host and the
zygote and ends both), and the zygote, pid 1 of the worker's own pid namespace where there are namespaces.
"""

import _signal  # type: ignore[import-not-found]
import contextlib
import fcntl
import gc
import importlib
import json
import marshal
import os
import select
import signal
import site
import socket
import sys
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

from .harness import harness, own_signals, packages, rehearsal
from .linux import syscalls
from .linux.file_tree import memory_file
from .linux.limits import reserve_memory
from .linux.processes import fork_here, pidfd
from .rungs.rung import Rung, make_rung
from .values.request import ProbeRequest, RunRequest, Setup, probe
from .worker import atfork, boot, wire
from .worker.supervise import HostGone, Supervisor

STREAMS = ("channel", "stdout", "stderr")
# What most programs import: loaded once here, shared by every run.
_STANDARD = (
    "bisect", "collections.abc", "copy", "dataclasses", "datetime", "enum", "functools", "heapq", "itertools", "math",
    "operator", "random", "re", "shutil", "string", "subprocess", "tempfile", "traceback", "typing",
)  # fmt: skip


def main(fd: int) -> None:
    """Entry point of the interpreter that worker.py starts."""
    sock = socket.socket(fileno=fd)
    host_pidfd = pidfd(os.getppid())
    setup: Setup = json.loads(wire.receive(sock)[0])
    os.environ.pop(boot.BINDING, None)
    sys.path[:] = setup["path"]
    sys.prefix, sys.exec_prefix = setup["prefix"], setup["prefix"]
    rung = make_rung(setup["isolation"], setup["python_dirs"])
    ring = rung.ring()
    try:
        rung.prepare()
    except OSError as error:
        wire.send(sock, json.dumps({"refused": rung.why_refused(error)}).encode())
        return
    pid = os.fork()
    if pid:
        sock.close()
        _guard(pid, host_pidfd, rung)
    else:
        code = 1
        try:
            if sys.platform == "linux":
                syscalls.run(syscalls.DYING_WITH_PARENT)
            code = _zygote(sock, rung, setup, ring)
        finally:
            os._exit(code)


def _guard(zygote: int, host_pidfd: int, rung: Rung) -> None:
    """The launcher: wait until the zygote or the host ends, then leave nothing behind."""
    zygote_pidfd = pidfd(zygote)
    if zygote_pidfd >= 0:
        poller = select.poll()
        for fd in (host_pidfd, zygote_pidfd):
            if fd >= 0:
                poller.register(fd, select.POLLIN)
        poller.poll()
        with contextlib.suppress(ProcessLookupError):
            os.kill(zygote, signal.SIGKILL)
    os.waitpid(zygote, 0)
    rung.clear()


def _zygote(sock: socket.socket, rung: Rung, setup: Setup, ring: int) -> int:
    answer = _get_ready(sock, rung, setup, ring)
    gc.collect()
    gc.disable()  # nothing below makes cycles
    wire.send(sock, json.dumps(answer).encode())
    if "ready" not in answer:
        return 0
    with contextlib.suppress(wire.WireError, HostGone):
        while True:
            request, stdin = wire.receive(sock)
            outcome = _run(sock, rung, marshal.loads(request), stdin)
            wire.send(sock, *wire.pack_run(outcome))
    return 0


def _get_ready(sock: socket.socket, rung: Rung, setup: Setup, ring: int) -> dict[str, Any]:
    """Isolate, import, try; the answer to the setup."""
    _forget_signals()
    site.setquit()  # `exit()`, which an interpreter started with -S lacks
    try:
        rung.settle()
        for name in (*_STANDARD, *setup["preload"]):
            importlib.import_module(name)
        atfork.stop()
        if os.getpid() == 1:
            own_signals.replace_senders()
        packages.note_preloaded()
        rehearsal.rehearse()
        reserve_memory()
        trial = _run(sock, rung, probe(setup["isolation"]))
    except OSError as error:
        return {"refused": rung.why_refused(error)}
    except ImportError as error:
        return {"broken": f"preload: {error}"}
    if trial.limit in ("cpu_s", "wall_s"):
        return {"broken": f"a trial run hit its limit {trial.limit}, which says nothing about the rung"}
    if trial.setup_error or trial.status != 0:
        said = trial.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        return {"refused": trial.setup_error or f"a trial run ended with status {trial.status}: {said}"}
    if ring >= 0:
        with contextlib.suppress(OSError):  # without, runs are slower
            run: Callable[..., bytes] = lambda *asked: _run(sock, rung, *asked).stdout  # noqa: E731
            rehearsal.copy_at_the_fork(ring, run, rung.sweep, setup["preload"])
    return {"ready": True}


def _forget_signals() -> None:
    """What a run does may not depend on what its host was told to ignore, by `nohup` or a shell's `&`."""
    by_python = (signal.SIGPIPE, signal.SIGXFSZ)  # ignored by every Python
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, *by_python}:
        if signal.getsignal(number) != signal.SIG_DFL:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _run(
    sock: socket.socket,
    rung: Rung,
    request: RunRequest | ProbeRequest,
    stdin: bytes = b"",
    sweep: Callable[[], None] | None = None,
) -> wire.RawRun:
    """Fork, confine, watch; `sweep` in place of the rung's."""
    pipes = {name: os.pipe() for name in (*STREAMS, "setup")}
    stdin_fd = memory_file(stdin) if stdin else os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    try:
        rung.hold(request["limits"])
        harness.seed(0 if request["mode"] == "probe" else request["seed"])
        gc.freeze()  # a run's collections leave alone what it was born with
        rung.before_fork(request["limits"])
        pid = fork_here()
        if pid == 0:
            _child(rung, request, pipes, stdin_fd)
        rung.after_fork()
        for _, write_fd in pipes.values():
            os.close(write_fd)
        for name in STREAMS:
            os.set_blocking(pipes[name][0], False)
        readable = {name: pipes[name][0] for name in STREAMS}
        outcome = Supervisor(pid, readable, request["limits"], sock.fileno()).watch(sweep or rung.sweep)
        outcome.limit = outcome.limit or rung.limit_hit()
        # Closed by the child before any line of the program ran, and by now in any case.
        outcome.setup_error = os.read(pipes["setup"][0], 4096).decode(errors="replace")
        rung.finish(outcome)
        return outcome
    finally:
        for read_fd, _ in pipes.values():
            os.close(read_fd)
        os.close(stdin_fd)


def _child(
    rung: Rung, request: RunRequest | ProbeRequest, pipes: dict[str, tuple[int, int]], stdin_fd: int
) -> NoReturn:
    """The run's process. Never returns."""
    setup_fd = pipes["setup"][1]
    atfork.in_run = True
    gc.enable()
    _signal.signal(signal.SIGINT, signal.default_int_handler)  # as in any Python; `signal`'s own way touches 50 pages
    try:
        # Somewhere high: a program that writes to every small descriptor doesn't hit it by accident.
        floor = 200 + int.from_bytes(os.urandom(2)) % 700
        channel = fcntl.fcntl(pipes["channel"][1], fcntl.F_DUPFD_CLOEXEC, floor)
        rung.confine(request["limits"])
        for fd, target in ((stdin_fd, 0), (pipes["stdout"][1], 1), (pipes["stderr"][1], 2)):
            os.dup2(fd, target)
    except BaseException as error:
        os.write(setup_fd, f"{type(error).__name__}: {error}".encode()[:4000])
        os._exit(1)
    os.closerange(3, channel)
    os.closerange(channel + 1, 4096)
    try:
        rung.execute(request, channel)
        os._exit(0)
    except BaseException:
        traceback.print_exc()  # the program broke what the harness stands on: its channel, its memory
    finally:
        os._exit(1)
