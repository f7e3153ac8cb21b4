"""Remove what workers left whose every process was killed: empty control groups, temporary folders.

A worker holds a lock on each thing it made, as long as one of its own processes lives, also where pids of another
container mean nothing here; a thing is stale if its maker's pid is gone and nobody holds the lock.
"""

import contextlib
import fcntl
import os
import re
import time
from collections.abc import Callable

_NAME = re.compile(r"iterpref-sandbox-(\d+)(-\w+)?")
_YOUNG_S = 60.0  # a worker needs less to make a thing and lock it


def claim(path: str) -> int:
    """Lock a directory for as long as this process, or one it forks, keeps the returned descriptor open."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    with contextlib.suppress(OSError):  # a file system without locks: the maker's pid has to do
        fcntl.flock(fd, fcntl.LOCK_SH)
    return fd


def sweep(folder: str, remove: Callable[[str], object], young_s: float = _YOUNG_S) -> None:
    """`remove` every stale thing in `folder`. Never raises: it may be gone, or another user's."""
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        made_by = _NAME.fullmatch(name)
        path = os.path.join(folder, name)
        if made_by and not _lives(made_by[1]) and _unclaimed(path, young_s):
            with contextlib.suppress(OSError):
                remove(path)


def _lives(pid: str) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except OSError:
        return False


def _unclaimed(path: str, young_s: float) -> bool:
    try:
        if time.time() - os.stat(path).st_mtime < young_s:
            return False
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(fd)
    return True
