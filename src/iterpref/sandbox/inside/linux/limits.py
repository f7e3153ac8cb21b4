"""The resource limits of a run's own process; those on wall time, output and all its processes are supervise.py's."""

import contextlib
import mmap
import os
import resource
import sys
from collections.abc import Iterator

from ..values.request import RunLimits
from .syscalls import PreparedCall

_SPARE_BYTES = 64 << 20  # above the memory limit, for the harness to report a MemoryError
_RESERVE_BYTES = 4 << 20  # given back first: the very call that raises the limit needs some memory
# What one process may hold beyond its memory limit before it is stopped: more than its rlimit ever lets it have, for
# the kernel's own count of it is off by some pages.
SLACK_BYTES = _SPARE_BYTES + _RESERVE_BYTES + (16 << 20)
_PAGE = resource.getpagesize()
_reserve: list[mmap.mmap] = []
# Hard limits this process was started with; no run raises them.
_CEILINGS = {
    number: resource.getrlimit(number)[1] for name, number in vars(resource).items() if name.startswith("RLIMIT_")
}


def reserve_memory() -> None:
    """Set address space aside, of which no page is touched; a run inherits it, and `release_spare_memory` gives it
    back. Private: what a run writes there, no other sees."""
    _reserve.append(mmap.mmap(-1, _RESERVE_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))


def limiting(limits: RunLimits, inherited_bytes: int, tasks: int) -> Iterator[PreparedCall]:
    """The calls that set the rlimits of a run. Memory is a budget on top of what the process was born with."""
    # The supervisor is exact. This is for processes that outlive it, and far above: the kernel counts whole ticks here,
    # on a busy machine up to a third more than what a process really had.
    cpu_s = int(2 * float(limits["cpu_s"])) + 5
    yield _limiting(resource.RLIMIT_CPU, cpu_s, cpu_s)
    yield _limiting(resource.RLIMIT_FSIZE, int(limits["file_bytes"]))
    yield _limiting(resource.RLIMIT_NOFILE, int(limits["open_files"]))
    yield _limiting(resource.RLIMIT_CORE, 1)  # not 0: a core pattern that is a pipe ignores 0
    if inherited_bytes:
        memory = inherited_bytes + int(limits["memory_bytes"])
        yield _limiting(resource.RLIMIT_AS, memory, memory + _SPARE_BYTES)
    if sys.platform == "linux":
        yield _limiting(resource.RLIMIT_NPROC, tasks)


def _limiting(which: int, soft: int, hard: int | None = None) -> PreparedCall:
    hard, ceiling = soft if hard is None else hard, _CEILINGS[which]
    if ceiling != resource.RLIM_INFINITY:
        soft, hard = min(soft, ceiling), min(hard, ceiling)
    return resource.setrlimit, (which, (soft, hard))


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
        fd = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)  # `open` costs three times as much
    except OSError:
        return 0
    try:
        return int(os.read(fd, 256).split()[0]) * _PAGE
    finally:
        os.close(fd)
