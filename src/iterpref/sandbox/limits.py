"""The resource limits of a run's own process.

In: `records.Limits` as a dict. Out: rlimits, set on the calling process. Standard library only.
Not here: limits on wall time, output and the sum over all processes (supervise.py).
"""

import contextlib
import mmap
import resource
import sys
from collections.abc import Mapping
from typing import Any

_SPARE_BYTES = 64 << 20  # above the memory limit, for the harness to report a MemoryError
_RESERVE_BYTES = 4 << 20  # given back first: the very call that raises the limit needs some memory
SLACK_BYTES = _SPARE_BYTES + _RESERVE_BYTES  # what one process may hold beyond its memory limit before it is stopped
_reserve: list[mmap.mmap] = []
# Of a trial run, as `records.Limits` in a dict.
PROBE_LIMITS: dict[str, Any] = {
    "cpu_s": 5.0,
    "wall_s": 20.0,
    "memory_bytes": 1 << 28,
    "processes": 8,
    "open_files": 32,
    "file_bytes": 1 << 20,
    "output_bytes": 1 << 16,
}


def set_limits(limits: Mapping[str, Any], inherited_bytes: int, tasks: int) -> None:
    """The rlimits of a run. Memory is a budget on top of what the process was born with."""

    def limit(which: int, soft: int, hard: int | None = None) -> None:
        ceiling = resource.getrlimit(which)[1]
        wanted = soft if hard is None else hard
        if ceiling != resource.RLIM_INFINITY:
            soft, wanted = min(soft, ceiling), min(wanted, ceiling)
        resource.setrlimit(which, (soft, wanted))

    cpu_s = int(limits["cpu_s"]) + 2  # the supervisor is exact; this catches a second process
    limit(resource.RLIMIT_CPU, cpu_s, cpu_s)
    limit(resource.RLIMIT_FSIZE, int(limits["file_bytes"]))
    limit(resource.RLIMIT_NOFILE, int(limits["open_files"]))
    limit(resource.RLIMIT_CORE, 1)  # not 0: a core pattern that is a pipe ignores 0
    if inherited_bytes:
        _reserve.append(mmap.mmap(-1, _RESERVE_BYTES))  # address space only: no page is touched
        memory = inherited_bytes + _RESERVE_BYTES + int(limits["memory_bytes"])
        limit(resource.RLIMIT_AS, memory, memory + _SPARE_BYTES)
    if sys.platform == "linux":
        limit(resource.RLIMIT_NPROC, tasks)


def release_spare_memory() -> None:
    """In the run's process, before it reports: raise the soft memory limit to the hard one."""
    while _reserve:
        _reserve.pop().close()
    with contextlib.suppress(OSError, ValueError):
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


def address_space() -> int:
    """Bytes of this process's address space; 0 where there is no /proc."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 0
