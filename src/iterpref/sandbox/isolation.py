"""The rungs of the isolation ladder: what a worker sets up once, and what each run gets on top.

In: the directories Python lives in, and a run's limits. Out: a process that can reach nothing but them.
A worker is two processes, a launcher and its child, the zygote, which forks one process a run. Every rung answers the
same calls: `prepare` (launcher), `settle` (zygote, once), `hold`, `before_fork`, `after_fork` (zygote, each run),
`confine`, `execute` (the run's process), `sweep`, `limit_hit`, `exit_status`, `start_error` (zygote, after the run),
`clear` (launcher, at the end).
Standard library only. Not here: supervision (supervise.py), the system calls refused (seccomp.py).
"""

import contextlib
import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from . import harness, linux, seccomp, stale
from .limits import address_space, limiting
from .processes import kill_descendants, tasks_of_this_user
from .root import INNER_UID, build_root, show_aside

RUN_UID = 64_321  # what a worker started by root becomes: NPROC is ignored for root
_NEW_PID_NAMESPACE = linux.unsharing(linux.CLONE_NEWPID)
_PROC_FLAGS = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC


class Rung(Protocol):
    """What the zygote asks of an isolation rung; `limits` is `records.Limits` as a dict."""

    def prepare(self) -> None: ...
    def settle(self) -> None: ...
    def hold(self, limits: Mapping[str, Any]) -> None: ...
    def before_fork(self, limits: Mapping[str, Any]) -> None: ...
    def after_fork(self) -> None: ...
    def confine(self, limits: Mapping[str, Any]) -> None: ...
    def sweep(self) -> None: ...
    def limit_hit(self) -> str: ...
    def execute(self, request: Mapping[str, Any], channel: int) -> None: ...
    def exit_status(self, status: int) -> int: ...
    def start_error(self, streams: dict[str, bytearray]) -> str: ...
    def clear(self) -> None: ...
    def why_refused(self, error: OSError) -> str: ...


class NoGroup:
    """What most rungs answer: no control group, and a run that goes on in the forked process."""

    def hold(self, limits: Mapping[str, Any]) -> None:
        """Nothing holds a run from outside."""

    def limit_hit(self) -> str:
        return ""

    def execute(self, request: Mapping[str, Any], channel: int) -> None:
        harness.run(request, channel)

    def exit_status(self, status: int) -> int:
        return status

    def start_error(self, streams: dict[str, bytearray]) -> str:
        """Why the harness never began, after all was confined; "" if it did."""
        return ""


class Namespaces(NoGroup):
    """Rung `zygote`: user, pid, mount, ipc, net and uts namespaces; a root that holds only system and Python files."""

    def __init__(self, python_dirs: list[str]) -> None:
        self._python_dirs = python_dirs
        self._root = ""
        self._aside: list[str] = []
        self._own_pid_ns = -1
        self._foreign_tasks = 0
        self._filter: seccomp.Filter | None = None
        self._calls: tuple[linux.Call, ...] = ()  # what confines a run with the sizes and limits `_calls_for`
        self._calls_for: tuple[Any, ...] = ()

    def prepare(self) -> None:
        """In the launcher: leave the host's files, users, network; the next child is pid 1 of a new pid namespace."""
        inner = linux.CLONE_NEWUSER | linux.CLONE_NEWNS | linux.CLONE_NEWPID
        inner |= linux.CLONE_NEWNET | linux.CLONE_NEWIPC | linux.CLONE_NEWUTS
        self._foreign_tasks = 0 if kernel() >= (5, 14) else tasks_of_this_user()
        if is_root():
            # Root builds the new root in a mount namespace of its own and removes the old one there: mounts inherited
            # into the user namespace below could never be removed.
            linux.unshare(linux.CLONE_NEWNS)
            self._root, self._aside = build_root(self._python_dirs)
            linux.mount("proc", self._root + "/proc", "proc", _PROC_FLAGS)
            linux.protect(self._root, recursive=False)
            linux.pivot_root(self._root)
            self._root = ""
            become(RUN_UID)
            linux.set_dumpable()
            _unshare_user(inner)
        else:
            _unshare_user(inner)
            self._root, self._aside = build_root(self._python_dirs)

    def settle(self) -> None:
        """In the zygote, pid 1 of the worker's pid namespace."""
        linux.mount("proc", self._root + "/proc", "proc", _PROC_FLAGS)
        if self._root:
            linux.protect(self._root, recursive=False)
            linux.pivot_root(self._root)
        with open("/proc/sys/user/max_user_namespaces", "w") as file:
            file.write("0")  # a program can't regain capabilities in a user namespace of its own
        socket.sethostname("sandbox")
        _raise_loopback()
        self._own_pid_ns = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        linux.no_new_privileges()
        if not seccomp.available():
            # Most of the filter is put on here, once, for every run to inherit: installing it costs as much as a mount.
            seccomp.confinement(own_network=True, leave=seccomp.SETUP).install()
            self._filter = seccomp.refusing(seccomp.SETUP)

    def before_fork(self, limits: Mapping[str, Any]) -> None:
        wanted = (address_space(), *limits.values())
        if wanted != self._calls_for:
            self._calls, self._calls_for = tuple(self._confining(limits, wanted[0])), wanted
        linux.run(_NEW_PID_NAMESPACE)

    def after_fork(self) -> None:
        linux.run(
            linux.entering(self._own_pid_ns, linux.CLONE_NEWPID)
        )  # a pid namespace can only be unshared from one's own

    def confine(self, limits: Mapping[str, Any]) -> None:
        """In the run's process, pid 1 of the run's own pid namespace: private files and /proc, then no privileges."""
        linux.run(*self._calls)

    def _confining(self, limits: Mapping[str, Any], inherited_bytes: int) -> Iterator[linux.Call]:
        yield os.setsid, ()
        yield linux.DYING_WITH_PARENT
        yield linux.unsharing(linux.CLONE_NEWNS | linux.CLONE_NEWIPC)
        space = f"size={limits['file_bytes']},nr_inodes=16384,mode=755"
        yield linux.mounting("tmpfs", "/tmp", "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, space)
        yield linux.mounting("proc", "/proc", "proc", _PROC_FLAGS)
        if self._aside:
            yield show_aside, (self._aside,)
        yield os.mkdir, ("/tmp/shm",)  # /dev/shm
        yield os.mkdir, ("/tmp/work",)
        yield os.chdir, ("/tmp/work",)
        # The launcher and the zygote count as two tasks of this user.
        yield from limiting(limits, inherited_bytes, int(limits["processes"]) + 2 + self._foreign_tasks)
        yield linux.DROPPING_CAPABILITIES
        if self._filter:
            yield self._filter.installing

    def sweep(self) -> None:
        """Nothing to do: the run's namespaces went with its pid 1, and all it had with them."""

    def clear(self) -> None:
        """Nothing to do: the worker's namespaces go with the zygote."""

    def why_refused(self, error: OSError) -> str:
        return why_refused(error)


class Rlimits(NoGroup):
    """Rung `rlimits`: a process group with resource limits. It can read what its user can, and reach the network."""

    def __init__(self, python_dirs: list[str]) -> None:
        self._python_dirs = python_dirs
        self._inherited_bytes = 0
        self._tasks = 0
        self._base = ""
        self._claim = -1
        self._run_dir = ""
        self._uid = 0

    def prepare(self) -> None:
        if sys.platform == "linux":
            linux.adopt_orphans()  # the launcher kills what a dead zygote leaves
        stale.sweep(tempfile.gettempdir(), _remove_tree)
        self._base = tempfile.mkdtemp(prefix=f"iterpref-sandbox-{os.getpid()}-")
        self._claim = stale.claim(self._base)
        os.chmod(self._base, 0o711)
        self._run_dir = f"{self._base}/run"
        # One uid a worker: RLIMIT_NPROC and `kill -1` go by uid.
        self._uid = RUN_UID + os.getpid() % 1000

    def settle(self) -> None:
        if sys.platform == "linux":
            linux.adopt_orphans()

    def before_fork(self, limits: Mapping[str, Any]) -> None:
        self._inherited_bytes = address_space()
        self._tasks = 0 if is_root() else tasks_of_this_user()
        os.mkdir(self._run_dir, 0o700)
        if is_root():
            os.chown(self._run_dir, self._uid, self._uid)

    def after_fork(self) -> None:
        pass

    def confine(self, limits: Mapping[str, Any]) -> None:
        os.setsid()
        os.chdir(self._run_dir)
        for name in ("HOME", "TMPDIR"):
            os.environ[name] = self._run_dir
        tempfile.tempdir = None
        linux.run(*limiting(limits, self._inherited_bytes, int(limits["processes"]) + self._tasks))
        if is_root():
            # Never run a program as root: `kill -1` would end the machine. It keeps the right to read files only
            # where Python itself lies in a directory that others can't enter.
            readable = all(others_may_enter(path) for path in self._python_dirs)
            linux.keep_capabilities()
            become(self._uid)
            linux.set_capabilities(*(() if readable else (linux.CAP_DAC_READ_SEARCH,)))
        if sys.platform == "linux":
            linux.no_new_privileges()
            linux.die_with_parent()

    def sweep(self) -> None:
        """Kill whatever the run left, wherever it hid, and remove its files."""
        kill_descendants()
        _remove_tree(self._run_dir)

    def clear(self) -> None:
        kill_descendants()
        _remove_tree(self._base)

    def why_refused(self, error: OSError) -> str:
        return f"{error.strerror or error} (errno {error.errno})"


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
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def why_refused(error: OSError) -> str:
    """What blocks namespaces here, and the setting that would allow them."""
    reasons = []
    for path, refusing, fix in (
        ("/proc/sys/user/max_user_namespaces", "0", "sysctl user.max_user_namespaces=10000"),
        ("/proc/sys/kernel/unprivileged_userns_clone", "0", "sysctl kernel.unprivileged_userns_clone=1"),
        (
            "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            "1",
            "sysctl kernel.apparmor_restrict_unprivileged_userns=0",
        ),
    ):
        with contextlib.suppress(OSError), open(path) as file:
            if file.read().strip() == refusing:
                reasons.append(fix)
    hint = " or ".join(reasons) if reasons else "a container needs --security-opt seccomp=unconfined or a VM"
    return f"{error.strerror or error} (errno {error.errno}); to allow namespaces: {hint}"


def _unshare_user(flags: int) -> None:
    uid, gid = os.geteuid(), os.getegid()
    linux.unshare(flags)
    for name, content in (
        ("setgroups", "deny"),
        ("uid_map", f"{INNER_UID} {uid} 1"),
        ("gid_map", f"{INNER_UID} {gid} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(content)


def _remove_tree(path: str) -> None:
    try:
        shutil.rmtree(path, ignore_errors=True)
    except RecursionError:  # a program nested directories deeper than Python's stack
        subprocess.run(["rm", "-rf", path], check=False)


def others_may_enter(path: str) -> bool:
    """Whether any user can reach a path."""
    parts = os.path.realpath(path).split("/")
    ancestors = ["/".join(parts[:stop]) or "/" for stop in range(1, len(parts) + 1)]
    return all(os.stat(ancestor).st_mode & 0o005 == 0o005 for ancestor in ancestors if os.path.exists(ancestor))


def kernel() -> tuple[int, int]:
    """Version of the running kernel."""
    major, minor = os.uname().release.split(".")[:2]
    return int(major), int("".join(c for c in minor if c.isdigit()) or 0)


def _raise_loopback() -> None:
    """Bring up `lo` in the empty network namespace: programs may talk to themselves."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("16sh22x", b"lo", 0x1 | 0x40)  # IFF_UP | IFF_RUNNING
        fcntl.ioctl(sock, 0x8914, request)  # SIOCSIFFLAGS
