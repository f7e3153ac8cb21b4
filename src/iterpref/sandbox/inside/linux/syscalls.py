"""The few Linux calls Python 3.11 doesn't have: namespaces, mounts, capabilities, prctl. `OSError` names the call."""

import ctypes
import os
import sys
from collections.abc import Callable
from typing import Any

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
MNT_DETACH = 2

_ATTR_RDONLY, _ATTR_NOSUID, _ATTR_NODEV = 1, 2, 4
_SYS_MOUNT_SETATTR = 442  # the same number on every architecture since Linux 5.12
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_KEEPCAPS = 1, 4, 8
_PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 36, 38, 47
_PR_CAP_AMBIENT_RAISE = 2
_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2
_CAP_VERSION_3 = 0x20080522
CAP_DAC_READ_SEARCH = 2

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

# A call to make later, and its arguments; it returns 0 or None, or says in errno why not.
PreparedCall = tuple[Callable[..., Any], tuple[Any, ...]]


def _function(name: str, *types: Any) -> Callable[..., Any]:
    if _libc is None:

        def absent(*arguments: object) -> None:
            raise OSError(38, f"{name}: needs Linux, this is {sys.platform}")

        return absent
    function: Callable[..., Any] = getattr(_libc, name)
    function.argtypes = types  # type: ignore[attr-defined]
    return function


_unshare = _function("unshare", ctypes.c_int)
_setns = _function("setns", ctypes.c_int, ctypes.c_int)
_mount = _function("mount", ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p)
_umount2 = _function("umount2", ctypes.c_char_p, ctypes.c_int)
_pivot_root = _function("pivot_root", ctypes.c_char_p, ctypes.c_char_p)
_prctl = _function("prctl", ctypes.c_int, *[ctypes.c_ulong] * 4)
_capset = _function("capset", ctypes.c_void_p, ctypes.c_void_p)
_sched_getcpu = _function("sched_getcpu")


def run(*calls: PreparedCall) -> None:
    """Make these calls, in order, up to the first that fails.

    Calls can be prepared long before: in a freshly forked process each Python function that runs and each object that
    is made touches pages that must be copied first, which costs more than most system calls.
    """
    for function, arguments in calls:
        if function(*arguments):
            number = ctypes.get_errno()
            shown = ", ".join(str(a) for a in arguments if isinstance(a, str | bytes))
            raise OSError(number, f"{function.__name__}({shown}): {os.strerror(number)}")


def version() -> tuple[int, int]:
    """Version of the running kernel."""
    major, minor = os.uname().release.split(".")[:2]
    return int(major), int("".join(c for c in minor if c.isdigit()) or 0)


def current_cpu() -> int:
    """The CPU that runs this; -1 where that can't be told."""
    return -1 if _libc is None else int(_sched_getcpu())


def syscall(number: int, *args: object) -> int:
    """A system call without a wrapper; its result."""
    if _libc is None:
        raise OSError(38, f"needs Linux, this is {sys.platform}")
    wide = [ctypes.c_long(argument) if isinstance(argument, int) else argument for argument in args]
    done = _libc.syscall(ctypes.c_long(number), *wide)
    if done < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"system call {number}: {os.strerror(code)}")
    return int(done)


def unsharing(flags: int) -> PreparedCall:
    """Give this process (or, for a pid namespace, its next children) namespaces of their own."""
    return _unshare, (flags,)


def unshare(flags: int) -> None:
    run(unsharing(flags))


def entering(fd: int, kind: int) -> PreparedCall:
    """Enter the namespace behind an open `/proc/.../ns/*` file."""
    return _setns, (fd, kind)


def mounting(source: str, target: str, fstype: str = "", flags: int = 0, options: str = "") -> PreparedCall:
    return _mount, (source.encode(), target.encode(), fstype.encode() or None, flags, options.encode() or None)


def mount(source: str, target: str, fstype: str = "", flags: int = 0, options: str = "") -> None:
    run(mounting(source, target, fstype, flags, options))


def bind(source: str, target: str) -> None:
    """Show `source`, with everything mounted under it, at `target` too."""
    mount(source, target, flags=MS_BIND | MS_REC)


def protect(target: str, *, writable: bool = False, devices: bool = False, recursive: bool = True) -> None:
    """Nothing at a mount may be set-uid; unless said otherwise, nothing written and no device opened."""
    attributes = _ATTR_NOSUID | (0 if writable else _ATTR_RDONLY) | (0 if devices else _ATTR_NODEV)
    struct = (ctypes.c_uint64 * 4)(attributes, 0, 0, 0)
    flags = _AT_RECURSIVE if recursive else 0
    syscall(_SYS_MOUNT_SETATTR, _AT_FDCWD, target.encode(), flags, ctypes.byref(struct), ctypes.sizeof(struct))


def pivot_root(new_root: str) -> None:
    """Make `new_root` the root and drop the old one with all its mounts."""
    os.chdir(new_root)
    run((_pivot_root, (b".", b".")))  # stacks the old root on the new one, so that "." names the old
    run((_umount2, (b".", MNT_DETACH)))
    os.chdir("/")


def _prctl_call(option: int, first: int, second: int = 0) -> PreparedCall:
    return _prctl, (option, first, second, 0, 0)


DYING_WITH_PARENT = _prctl_call(_PR_SET_PDEATHSIG, 9)  # SIGKILL when the thread that forked this process ends
ADOPTING_ORPHANS = _prctl_call(_PR_SET_CHILD_SUBREAPER, 1)  # descendants whose parent dies become children
OWNING_PROC_SELF = _prctl_call(_PR_SET_DUMPABLE, 1)  # after a change of uid; needed to write uid_map
NO_NEW_PRIVILEGES = _prctl_call(_PR_SET_NO_NEW_PRIVS, 1)
KEEPING_CAPABILITIES = _prctl_call(_PR_SET_KEEPCAPS, 1)  # the permitted ones, over the next change of uid


def filtering(program: int) -> PreparedCall:
    """Put the system call filter at this address (a `struct sock_fprog`) on the calling process."""
    return _prctl_call(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, program)


class _CapHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


_CAP_HEADER = _CapHeader(_CAP_VERSION_3, 0)
_NO_CAPABILITIES = (ctypes.c_uint32 * 6)()
DROPPING_CAPABILITIES: PreparedCall = (_capset, (ctypes.addressof(_CAP_HEADER), ctypes.addressof(_NO_CAPABILITIES)))


def set_capabilities(*kept: int) -> None:
    """Keep exactly these capabilities, over exec too; none by default. Only numbers below 32."""
    mask = sum(1 << capability for capability in kept)
    wanted = (ctypes.c_uint32 * 6)(mask, mask, mask)
    run((_capset, (ctypes.addressof(_CAP_HEADER), ctypes.addressof(wanted))))
    for capability in kept:
        run(_prctl_call(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability))
