"""Is a run as isolated as its rung says? Asked by a trial run when a worker starts, and again from time to time.

It runs as a program would, and only tells whether each wall stands at all; attacks are in tests/sandbox/adversarial.
"""

import os
import resource
import socket
from collections.abc import Callable
from typing import NamedTuple

from .table import RUNGS


class NotIsolated(Exception):
    """The message names what a run could reach."""


def check(isolation: str, seccomp: bool) -> None:
    """Try the doors; raises `NotIsolated` if some were open. `seccomp`: this machine has a system call filter."""
    walls = [WALLS[name] for name in RUNGS[isolation].walls]
    open_doors = [wall.shuts for wall in walls if (seccomp or not wall.by_filter) and not wall.stands()]
    if open_doors:
        raise NotIsolated(f"self-test of rung {isolation}: not shut: {', '.join(open_doors)}")


class Wall(NamedTuple):
    """`by_filter`: it is the system call filter's, and stands only where there is one."""

    shuts: str
    stands: Callable[[], bool]
    by_filter: bool = False


def _status(field: str) -> str:
    with open("/proc/self/status") as file:
        return next(line.split()[1] for line in file if line.startswith(f"{field}:"))


def _few_processes() -> bool:
    return os.getpid() < 10 and sum(name.isdigit() for name in os.listdir("/proc")) < 10


def _leave_a_file(path: str) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    os.unlink(path)


def _refused(act: Callable[[], object]) -> bool:
    try:
        act()
    except OSError:
        return True
    return False


WALLS = {
    "privileges": Wall("new privileges", lambda: _status("NoNewPrivs") == "1"),
    "root files": Wall("writing to /", lambda: _refused(lambda: _leave_a_file("/iterpref-probe"))),
    "secrets": Wall("/etc/shadow", lambda: _refused(lambda: os.close(os.open("/etc/shadow", os.O_RDONLY)))),
    "limits": Wall("limits", lambda: resource.getrlimit(resource.RLIMIT_CPU)[1] != resource.RLIM_INFINITY),
    "system calls": Wall("system calls", lambda: _status("Seccomp") == "2", by_filter=True),
    "vsock": Wall("vsock", lambda: _refused(lambda: socket.socket(40, socket.SOCK_STREAM)), by_filter=True),
    "no network": Wall("the network", lambda: _refused(lambda: socket.socket(socket.AF_INET))),
    "reading": Wall("reading /", lambda: _refused(lambda: os.listdir("/"))),
    "root's rights": Wall("root's rights", lambda: os.getuid() != 0),
    "capabilities": Wall("capabilities", lambda: int(_status("CapEff"), 16) == 0),
    "processes": Wall("other processes", _few_processes),
    "own network": Wall("the network", lambda: [name for _, name in socket.if_nameindex()] == ["lo"]),
}
