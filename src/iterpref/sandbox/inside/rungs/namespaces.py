"""Rung `zygote`: namespaces of its own for the worker, and more of them for each run."""

import contextlib
import fcntl
import os
import socket
import struct
from collections.abc import Iterator

from ..linux import seccomp, syscalls
from ..linux.file_tree import INNER_UID, build_root, show_aside
from ..linux.limits import address_space, limiting
from ..linux.processes import RUN_UID, become, is_root, tasks_of_this_user
from ..linux.syscalls import PreparedCall
from ..values.request import RunLimits
from .rung import Rung

_NEW_PID_NAMESPACE = syscalls.unsharing(syscalls.CLONE_NEWPID)
_PROC_FLAGS = syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC


class Namespaces(Rung):
    """Rung `zygote`: user, pid, mount, ipc, net and uts namespaces; a root that holds only system and Python files.

    There is nothing to sweep or to clear: a run's namespaces go with its pid 1, and with them all it had.
    """

    def __init__(self, python_dirs: list[str]) -> None:
        super().__init__(python_dirs)
        self._root = ""
        self._aside: list[str] = []
        self._own_pid_ns = -1
        self._foreign_tasks = 0
        self._filter: seccomp.Filter | None = None
        self._calls: tuple[PreparedCall, ...] = ()  # what confines a run with the sizes and limits `_calls_for`
        self._calls_for: tuple[object, ...] = ()

    def prepare(self) -> None:
        """In the launcher: leave the host's files, users, network; the next child is pid 1 of a new pid namespace."""
        inner = syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNS | syscalls.CLONE_NEWPID
        inner |= syscalls.CLONE_NEWNET | syscalls.CLONE_NEWIPC | syscalls.CLONE_NEWUTS
        self._foreign_tasks = 0 if syscalls.version() >= (5, 14) else tasks_of_this_user()
        if is_root():
            # Root builds the new root in a mount namespace of its own and removes the old one there: mounts inherited
            # into the user namespace below could never be removed.
            syscalls.unshare(syscalls.CLONE_NEWNS)
            self._root, self._aside = build_root(self._python_dirs)
            syscalls.mount("proc", self._root + "/proc", "proc", _PROC_FLAGS)
            syscalls.protect(self._root, recursive=False)
            syscalls.pivot_root(self._root)
            self._root = ""
            become(RUN_UID)
            syscalls.run(syscalls.OWNING_PROC_SELF)
            _unshare_user(inner)
        else:
            _unshare_user(inner)
            self._root, self._aside = build_root(self._python_dirs)

    def settle(self) -> None:
        """In the zygote, pid 1 of the worker's pid namespace."""
        syscalls.mount("proc", self._root + "/proc", "proc", _PROC_FLAGS)
        if self._root:
            syscalls.protect(self._root, recursive=False)
            syscalls.pivot_root(self._root)
        with open("/proc/sys/user/max_user_namespaces", "w") as file:
            file.write("0")  # a program can't regain capabilities in a user namespace of its own
        socket.sethostname("sandbox")
        _raise_loopback()
        self._own_pid_ns = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        syscalls.run(syscalls.NO_NEW_PRIVILEGES)
        if not seccomp.available():
            # Most of the filter is put on here, once, for every run to inherit: installing it costs as much as a mount.
            seccomp.confinement(own_network=True, leave=seccomp.SETUP).install()
            self._filter = seccomp.refusing(seccomp.SETUP)

    def before_fork(self, limits: RunLimits) -> None:
        size = address_space()
        wanted = (size, *limits.values())
        if wanted != self._calls_for:
            self._calls, self._calls_for = tuple(self._confining(limits, size)), wanted
        syscalls.run(_NEW_PID_NAMESPACE)

    def after_fork(self) -> None:
        # A pid namespace can only be unshared from one's own.
        syscalls.run(syscalls.entering(self._own_pid_ns, syscalls.CLONE_NEWPID))

    def confine(self, limits: RunLimits) -> None:
        """In the run's process, pid 1 of the run's own pid namespace: private files and /proc, then no privileges."""
        syscalls.run(*self._calls)

    def _confining(self, limits: RunLimits, inherited_bytes: int) -> Iterator[PreparedCall]:
        yield os.setsid, ()
        yield syscalls.DYING_WITH_PARENT
        yield syscalls.unsharing(syscalls.CLONE_NEWNS | syscalls.CLONE_NEWIPC)
        space = f"size={limits['file_bytes']},nr_inodes=16384,mode=755"
        yield syscalls.mounting("tmpfs", "/tmp", "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, space)
        yield syscalls.mounting("proc", "/proc", "proc", _PROC_FLAGS)
        if self._aside:
            yield show_aside, (self._aside,)
        yield os.mkdir, ("/tmp/shm",)  # /dev/shm
        yield os.mkdir, ("/tmp/work",)
        yield os.chdir, ("/tmp/work",)
        # The launcher and the zygote count as two tasks of this user.
        yield from limiting(limits, inherited_bytes, int(limits["processes"]) + 2 + self._foreign_tasks)
        yield syscalls.DROPPING_CAPABILITIES
        if self._filter:
            yield self._filter.installing

    def why_refused(self, error: OSError) -> str:
        return why_refused(error)


def why_refused(error: OSError) -> str:
    """What blocks namespaces here, and the setting that would allow them."""
    reasons = []
    for name, refusing, allowing in (
        ("user.max_user_namespaces", "0", "10000"),
        ("kernel.unprivileged_userns_clone", "0", "1"),
        ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
    ):
        with contextlib.suppress(OSError), open(f"/proc/sys/{name.replace('.', '/')}") as file:
            if file.read().strip() == refusing:
                reasons.append(f"sysctl {name}={allowing}")
    hint = " or ".join(reasons) if reasons else "a container needs --security-opt seccomp=unconfined or a VM"
    return f"{error.strerror or error} (errno {error.errno}); to allow namespaces: {hint}"


def _unshare_user(flags: int) -> None:
    uid, gid = os.geteuid(), os.getegid()
    syscalls.unshare(flags)
    maps = {"setgroups": "deny", "uid_map": f"{INNER_UID} {uid} 1", "gid_map": f"{INNER_UID} {gid} 1"}
    for name, content in maps.items():
        with open(f"/proc/self/{name}", "w") as file:
            file.write(content)


def _raise_loopback() -> None:
    """Bring up `lo` in the empty network namespace: programs may talk to themselves."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("16sh22x", b"lo", 0x1 | 0x40)  # IFF_UP | IFF_RUNNING
        fcntl.ioctl(sock, 0x8914, request)  # SIOCSIFFLAGS
