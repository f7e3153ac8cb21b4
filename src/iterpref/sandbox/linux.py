"""The few Linux calls Python 3.11 doesn't have: namespaces, mounts, capabilities, prctl.

In: numbers and paths. Out: nothing, or `OSError` with the call's name. Standard library only: the zygote loads it.
Not here: which namespaces and mounts make up a rung (isolation.py).
"""

import ctypes
import ctypes.util
import os
import sys

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

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


def _call(name: str, *args: object) -> None:
    if _libc is None:
        raise OSError(38, f"{name}: needs Linux, this is {sys.platform}")
    if getattr(_libc, name)(*args) != 0:
        number = ctypes.get_errno()
        shown = ", ".join(str(a) for a in args if isinstance(a, str | bytes))
        raise OSError(number, f"{name}({shown}): {os.strerror(number)}")


def syscall(number: int, *args: object) -> int:
    """A system call without a wrapper; its result.

    Raises:
        OSError: It failed.
    """
    if _libc is None:
        raise OSError(38, f"needs Linux, this is {sys.platform}")
    wide = [ctypes.c_long(argument) if isinstance(argument, int) else argument for argument in args]
    done = _libc.syscall(ctypes.c_long(number), *wide)
    if done < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"system call {number}: {os.strerror(code)}")
    return int(done)


def unshare(flags: int) -> None:
    """Give this process (or, for a pid namespace, its next children) namespaces of their own."""
    _call("unshare", ctypes.c_int(flags))


def setns(fd: int, kind: int) -> None:
    """Enter the namespace behind an open `/proc/.../ns/*` file."""
    _call("setns", ctypes.c_int(fd), ctypes.c_int(kind))


def mount(source: str, target: str, fstype: str = "", flags: int = 0, options: str = "") -> None:
    encoded = [text.encode() if text else None for text in (source, target, fstype)]
    _call("mount", *encoded, ctypes.c_ulong(flags), options.encode() if options else None)


def bind(source: str, target: str) -> None:
    """Show `source`, with everything mounted under it, at `target` too."""
    mount(source, target, flags=MS_BIND | MS_REC)


def protect(target: str, *, writable: bool = False, devices: bool = False, recursive: bool = True) -> None:
    """Nothing at a mount may be set-uid; unless said otherwise, nothing written and no device opened."""
    attributes = _ATTR_NOSUID | (0 if writable else _ATTR_RDONLY) | (0 if devices else _ATTR_NODEV)
    struct = (ctypes.c_uint64 * 4)(attributes, 0, 0, 0)
    _call(
        "syscall",
        ctypes.c_long(_SYS_MOUNT_SETATTR),
        ctypes.c_int(_AT_FDCWD),
        target.encode(),
        ctypes.c_uint(_AT_RECURSIVE if recursive else 0),
        ctypes.byref(struct),
        ctypes.c_size_t(ctypes.sizeof(struct)),
    )


def pivot_root(new_root: str) -> None:
    """Make `new_root` the root and drop the old one with all its mounts."""
    os.chdir(new_root)
    _call("pivot_root", b".", b".")  # stacks the old root on the new one, so that "." names the old
    _call("umount2", b".", ctypes.c_int(MNT_DETACH))
    os.chdir("/")


def _prctl(option: int, *args: int) -> None:
    padded = [*args, *[0] * (4 - len(args))]
    _call("prctl", ctypes.c_int(option), *[ctypes.c_ulong(a) for a in padded])


def die_with_parent() -> None:
    """SIGKILL this process when the thread that forked it ends."""
    _prctl(_PR_SET_PDEATHSIG, 9)


def adopt_orphans() -> None:
    """Descendants whose parent dies become children of this process."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def set_dumpable() -> None:
    """After a change of uid, own /proc/self again (needed to write uid_map)."""
    _prctl(_PR_SET_DUMPABLE, 1)


def no_new_privileges() -> None:
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def set_seccomp_filter(program: int) -> None:
    """Install the filter at this address (a `struct sock_fprog`) on the calling process."""
    _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, program)


def keep_capabilities() -> None:
    """Keep the permitted capabilities over the next change of uid."""
    _prctl(_PR_SET_KEEPCAPS, 1)


class _CapHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


# Made once: in a freshly forked process every new ctypes object touches pages that must be copied first.
_CAP_HEADER = ctypes.byref(_CapHeader(_CAP_VERSION_3, 0))
_CAPABILITIES = (ctypes.c_uint32 * 6)()


def set_capabilities(*kept: int) -> None:
    """Keep exactly these capabilities, over exec too; none by default. Only numbers below 32."""
    mask = sum(1 << capability for capability in kept)
    _CAPABILITIES[:3] = [mask, mask, mask]
    _call("capset", _CAP_HEADER, _CAPABILITIES)
    for capability in kept:
        _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability)
