"""In a zygote, before the first run: what makes every later one cheaper.

A page that a run, or the zygote while it lasts, writes to must be copied first; for a small program those pages are
most of what it costs. So Python learns its ways here, once, and what is written to all the same is copied at the fork.
"""

import contextlib
import os
import signal
import struct
import sys
import time
from collections.abc import Callable, Iterator, Sequence

from ..linux import pinning, syscalls
from ..values.request import PROBE_LIMITS, Mode, RunRequest
from . import harness

_REHEARSALS = 20
_FORKED_REHEARSALS = 3
_FOREVER_S = 1e6
_PROGRAM = "def f(x, y):\n    return [x, y]\ndef g():\n    return {}[0]\n"
_CALLS = [
    ["f", [1, "a"], None, "value"],
    ["f", [{"s": []}], {"d": [["y", {"t": [0.5, None]}]]}, "value"],
    ["g", [], None, "value"],
]


def rehearse() -> None:
    """Run a program of our own in this process, often enough for Python to have learnt its ways.

    The look-ups it remembers and the instructions it specialises would else be learnt anew in every run. Leaves no
    trace but that.
    """
    path, main = list(sys.path), sys.modules["__main__"]
    request = _request("calls", os.devnull, _PROGRAM)
    channel = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    for _ in range(_REHEARSALS):
        harness.run(request, channel)
        del sys.modules["rehearsal"]
        sys.path[:], sys.argv, sys.modules["__main__"] = path, [""], main
    os.close(channel)


def copy_at_the_fork(ring: int, run: Callable[..., bytes], sweep: Callable[[], None], preload: Sequence[str]) -> None:
    """Find out which pages small runs and this process write to, and have them copied by the fork itself (pinning.py).

    Args:
        ring: Of `pinning.open_ring`.
        run: Forks a run, and returns its stdout when it has ended. After the request and an input it takes what is to
            end the processes that are left, in place of `sweep`.
        preload: What programs import that is loaded already.

    Raises:
        OSError: There are more pages than may be locked, or no /proc; all stays as it was.
    """
    program = "".join(f"import {name}\n" for name in preload) + _PROGRAM
    request = _request("pages", "rehearsal.py", program)
    for _ in range(_FORKED_REHEARSALS):
        run(request)
    with _shared_with_another():
        stdout = run(request, b"", _leave)  # sweeping would end the other process
        own = pinning.pages_of_its_own()
    sweep()
    theirs = [page for (page,) in struct.iter_unpack("=Q", stdout[: len(stdout) // 8 * 8])]
    pinning.pin(ring, own.union(theirs) & pinning.pages_of_its_own())


def _leave() -> None:
    pass


def report_pages(request: RunRequest, channel: int) -> None:
    """In a run: do it, and write to stdout which pages it has written to."""
    request["mode"] = "calls"
    harness.run(request, channel)
    pages = pinning.pages_of_its_own()
    os.write(1, struct.pack(f"={len(pages)}Q", *pages))


@contextlib.contextmanager
def _shared_with_another() -> Iterator[None]:
    """While it lasts, a page is only this process's own if it was written to meanwhile: another has all the rest."""
    pid = os.fork()
    if pid == 0:
        try:
            syscalls.run(syscalls.DYING_WITH_PARENT)
            time.sleep(_FOREVER_S)
        finally:
            os._exit(1)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _request(mode: Mode, path: str, program: str) -> RunRequest:
    return {
        "mode": mode, "nonce": "", "program": program, "prefix": "", "program_path": "rehearsal.py",
        "files": {path: program}, "entry_point": None, "seed": 0, "limits": PROBE_LIMITS, "calls": _CALLS,
        "tests": [], "control": "", "measure": False,
    }  # fmt: skip
