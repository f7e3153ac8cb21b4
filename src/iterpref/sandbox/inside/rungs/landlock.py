"""Rung `landlock`: no namespaces; the kernel's Landlock shuts paths and signals, seccomp shuts sockets and shared IPC.

What containers allow that refuse namespaces. A run reads only system and Python files and writes only its own folder.
Gaps, beside those of every rung: `/tmp` and `/dev/shm` are refused instead of its own, the disk is bounded per file
only, no sockets work but pairs. Before Linux 6.12 a program may signal only itself.
"""

import ctypes
import os

from ..harness.pipe_semaphores import replace_semaphores
from ..linux import seccomp, syscalls
from ..linux.file_tree import ETC, ETC_FILES, SYSTEM
from ..values.request import RunLimits
from .rlimits import Rlimits

_SYS_CREATE, _SYS_ADD, _SYS_RESTRICT = 444, 445, 446  # the same numbers on every architecture
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _REFER, _TRUNCATE, _IOCTL_DEV = 1, 2, 4, 8, 1 << 13, 1 << 14, 1 << 15
_ALL_V1 = (1 << 13) - 1
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_BIND_TCP, _CONNECT_TCP = 1, 2
_SCOPE_ABSTRACT_UNIX, _SCOPE_SIGNAL = 1, 2
_SIGNAL_ABI = 6

_READABLE = (
    *SYSTEM, *ETC, *(f"/etc/{name}" for name in ETC_FILES), "/proc/self", "/proc/cpuinfo", "/proc/meminfo",
    "/proc/stat", "/dev/random", "/dev/urandom",
)  # fmt: skip
_WRITABLE = ("/dev/null", "/dev/zero", "/dev/full")


def abi() -> int:
    """The kernel's version of Landlock; 0 without."""
    try:
        return syscalls.syscall(_SYS_CREATE, None, 0, 1)
    except OSError:
        return 0


class Landlock(Rlimits):
    """Resource limits, and on top of them everything a process can shut for itself without any right."""

    def __init__(self, python_dirs: list[str]) -> None:
        super().__init__(python_dirs)
        self._abi = 0
        self._filter: seccomp.Filter | None = None

    def prepare(self) -> None:
        missing = seccomp.available()
        if missing:
            raise OSError(38, missing)
        self._abi = abi()
        if self._abi < 1:
            raise OSError(38, "this kernel has no Landlock (Linux 5.13 with landlock among its LSMs)")
        super().prepare()

    def settle(self) -> None:
        super().settle()
        replace_semaphores()  # the system's are files in /dev/shm
        self._filter = seccomp.confinement(own_network=False)

    def confine(self, limits: RunLimits) -> None:
        super().confine(limits)
        syscalls.run(syscalls.OWNING_PROC_SELF)  # after the change of uid /proc/self would belong to root
        _restrict(self._abi, [*_READABLE, *self._python_dirs], _WRITABLE, self._run_dir)
        if self._filter and self._abi >= _SIGNAL_ABI:
            self._filter.install()
        else:
            seccomp.confinement(own_network=False, signals_to=os.getpid()).install()

    def why_refused(self, error: OSError) -> str:
        return f"{error.strerror or error}; a kernel with Landlock and seccomp is needed (boot with lsm=landlock,...)"


def _restrict(version: int, readable: list[str], writable: tuple[str, ...], own: str) -> None:
    handled = _ALL_V1
    for since, right in ((2, _REFER), (3, _TRUNCATE), (5, _IOCTL_DEV)):
        handled |= right if version >= since else 0
    network = _BIND_TCP | _CONNECT_TCP if version >= 4 else 0
    scoped = _SCOPE_ABSTRACT_UNIX | _SCOPE_SIGNAL if version >= _SIGNAL_ABI else 0
    attributes = (ctypes.c_uint64 * 3)(handled, network, scoped)
    size = 24 if version >= _SIGNAL_ABI else 16 if version >= 4 else 8
    ruleset = syscalls.syscall(_SYS_CREATE, ctypes.byref(attributes), size, 0)
    try:
        for paths, rights in ((readable, _READ), (writable, _READ_FILE | _WRITE_FILE), ([own], handled)):
            for path in paths:
                _allow(ruleset, path, rights & handled)
        syscalls.syscall(_SYS_RESTRICT, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # not on this system, or not ours to enter
    try:
        rights &= -1 if os.path.isdir(path) else _OF_FILES
        rule = rights.to_bytes(8, "little") + fd.to_bytes(4, "little")
        syscalls.syscall(_SYS_ADD, ruleset, 1, rule, 0)
    finally:
        os.close(fd)
