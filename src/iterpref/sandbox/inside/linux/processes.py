"""Process trees, found and ended through /proc: what a run left behind, wherever it hid.

Standard library only. Not here: confinement (rung.py and its rungs), limits (limits.py).
"""

import contextlib
import os
import signal
import sys


def kill_descendants() -> None:
    """SIGKILL and reap every descendant of this process, until none is left.

    Needs `linux.adopt_orphans`: then whoever has descendants has a child, and who has no child has none.
    """
    for _ in range(1000):
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        for pid in descendants(os.getpid()) if sys.platform == "linux" else []:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)


def descendants(root: int) -> list[int]:
    """Pids of all processes below `root`, from /proc."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
                parent = int(file.read().rpartition(b")")[2].split()[1])
                children.setdefault(parent, []).append(int(name))
    found = list(children.get(root, []))
    for pid in found:  # grows while it is walked
        found += children.get(pid, [])
    return found


def tasks_of_this_user() -> int:
    """How many threads this user already has: RLIMIT_NPROC counts them where there is no user namespace."""
    count = 0
    for name in os.listdir("/proc") if sys.platform == "linux" else []:
        if name.isdigit():
            with contextlib.suppress(OSError):
                status = os.stat(f"/proc/{name}/task")
                count += status.st_nlink - 2 if status.st_uid == os.getuid() else 0
    return count
