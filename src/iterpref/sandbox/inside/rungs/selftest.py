"""Is a run as isolated as its rung says? Asked by a trial run when a worker starts, and again from time to time.

In: the name of a rung. Out: nothing, or `NotIsolated` with what was open. Runs inside, as a program would; standard
library only. Not here: attacks (tests/sandbox/adversarial); these checks only tell whether each wall stands at all.
"""

import os
import resource
import socket
from collections.abc import Callable

_NAMESPACES = ("zygote_cgroup", "zygote", "bubblewrap")


class NotIsolated(Exception):
    """The message names what a run could reach."""


def check(rung: str, seccomp: bool) -> None:
    """Try the doors.

    Args:
        rung: One of `records.Isolation`.
        seccomp: Whether this machine has a system call filter.

    Raises:
        NotIsolated: Some were open.
    """
    open_doors = [name for name, shut in _walls(rung, seccomp).items() if not shut()]
    if open_doors:
        raise NotIsolated(f"self-test of rung {rung}: not shut: {', '.join(open_doors)}")


def _walls(rung: str, seccomp: bool) -> dict[str, Callable[[], bool]]:
    if rung not in (*_NAMESPACES, "landlock"):
        return {"limits": lambda: resource.getrlimit(resource.RLIMIT_CPU)[1] != resource.RLIM_INFINITY}
    walls = {
        "new privileges": lambda: _status("NoNewPrivs") == "1",
        "writing to /": lambda: _refused(lambda: _leave_a_file("/iterpref-probe")),
        "/etc/shadow": lambda: _refused(lambda: os.close(os.open("/etc/shadow", os.O_RDONLY))),
        "limits": lambda: resource.getrlimit(resource.RLIMIT_CPU)[1] != resource.RLIM_INFINITY,
    }
    if seccomp:
        walls["system calls"] = lambda: _status("Seccomp") == "2"
        walls["vsock"] = lambda: _refused(lambda: socket.socket(40, socket.SOCK_STREAM))
    if rung == "landlock":
        walls["the network"] = lambda: _refused(lambda: socket.socket(socket.AF_INET))
        walls["reading /"] = lambda: _refused(lambda: os.listdir("/"))
    else:
        walls["root's rights"] = lambda: os.getuid() != 0
        walls["capabilities"] = lambda: int(_status("CapEff"), 16) == 0
        walls["other processes"] = lambda: os.getpid() < 10 and sum(n.isdigit() for n in os.listdir("/proc")) < 10
        walls["the network"] = _only_loopback
    return walls


def _status(field: str) -> str:
    with open("/proc/self/status") as file:
        return next(line.split()[1] for line in file if line.startswith(f"{field}:"))


def _only_loopback() -> bool:
    return [name for _, name in socket.if_nameindex()] == ["lo"]


def _leave_a_file(path: str) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    os.unlink(path)


def _refused(act: Callable[[], object]) -> bool:
    try:
        act()
    except OSError:
        return True
    return False
