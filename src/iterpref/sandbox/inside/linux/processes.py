"""Processes: whose rights they have, and what a run left behind, wherever it hid, found and ended through /proc."""

import contextlib
import os
import signal
import sys

from . import syscalls

RUN_UID = 64_321  # what a worker started by root becomes: NPROC is ignored for root


def fork_here() -> int:
    """`os.fork`, onto the CPU that this process runs on; from there both may go anywhere, as before.

    Where all CPUs are busy, Linux puts a new process on the one that is least so, where it waits for its turn while the
    parent, whose turn it is, does nothing but wait for the child.
    """
    cpu = syscalls.current_cpu()
    if cpu < 0:
        return os.fork()
    anywhere = os.sched_getaffinity(0)
    with contextlib.suppress(OSError):  # the CPU is gone
        os.sched_setaffinity(0, (cpu,))
    try:
        return os.fork()
    finally:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, anywhere)


def kill_descendants() -> None:
    """SIGKILL and reap every descendant of this process, until none is left.

    Needs `syscalls.ADOPTING_ORPHANS`: then whoever has descendants has a child, and who has no child has none.
    """
    for _ in range(1000):
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        for pid in descendants(os.getpid()):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)


def descendants(root: int) -> list[int]:
    """Pids of all processes below `root`, from /proc; none where there is no /proc."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc") if sys.platform == "linux" else []:
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


def is_root() -> bool:
    """Whether this process can turn into other users: uid 0, and not of a user namespace that has no other uid."""
    if os.geteuid() != 0:
        return False
    try:
        with open("/proc/self/uid_map") as file:
            ranges = [[int(number) for number in line.split()] for line in file]
    except OSError:
        return True  # no user namespaces at all
    return any(first <= RUN_UID and first + count >= RUN_UID + 1000 for first, _, count in ranges)


def become(uid: int) -> None:
    """Leave root for a user and group without any other right."""
    os.setgroups([])
    os.setgid(uid)  # of root: the real, the effective and the saved one
    os.setuid(uid)


def others_may_enter(path: str) -> bool:
    """Whether any user can reach a path."""
    parts = os.path.realpath(path).split("/")
    ancestors = ["/".join(parts[:stop]) or "/" for stop in range(1, len(parts) + 1)]
    return all(os.stat(ancestor).st_mode & 0o005 == 0o005 for ancestor in ancestors if os.path.exists(ancestor))


def pidfd(pid: int) -> int:
    """A descriptor that tells when a process ends; -1 where there is no such thing."""
    return os.pidfd_open(pid) if hasattr(os, "pidfd_open") else -1
