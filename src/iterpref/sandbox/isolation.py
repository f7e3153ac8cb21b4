"""The rungs of the isolation ladder: what a worker sets up once, and what each run gets on top.

In: the directories Python lives in, and a run's limits. Out: a process that can reach nothing but them.
A worker is two processes, a launcher and its child, the zygote, which forks one process a run. Both rungs answer the
same five calls: `prepare` (launcher), `settle` (zygote, once), `before_fork`, `confine` (the run's process), `sweep`.
Standard library only. Not here: supervision and limits on time and output (zygote.py); seccomp, Landlock and cgroups.
"""

import contextlib
import os
import resource
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Mapping
from typing import Any, Protocol

from . import linux

RUN_UID = 64_321  # what a worker started by root becomes; NPROC is ignored for root
INNER_UID = 1000  # what a program sees itself as
_SPARE_BYTES = 64 << 20  # above the memory limit, for the harness to report a MemoryError
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store")
_ETC = ("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "localtime", "mime.types")
_DEVICES = ("null", "zero", "full", "random", "urandom")
_ROOT_CANDIDATES = ("/mnt", "/media", "/srv", "/opt", "/home", "/tmp")
_FILES = {
    "passwd": f"sandbox:x:{INNER_UID}:{INNER_UID}::/tmp:/bin/sh\n",
    "group": f"sandbox:x:{INNER_UID}:\n",
    "hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}


class Rung(Protocol):
    """What the zygote asks of an isolation rung; `limits` is `records.Limits` as a dict."""

    def prepare(self) -> None: ...
    def settle(self) -> None: ...
    def before_fork(self) -> None: ...
    def after_fork(self) -> None: ...
    def confine(self, limits: Mapping[str, Any]) -> None: ...
    def sweep(self) -> None: ...


class Namespaces:
    """Rung `zygote`: user, pid, mount, ipc, net and uts namespaces; a root that holds only system and Python files."""

    def __init__(self, python_dirs: list[str]) -> None:
        self._python_dirs = python_dirs
        self._own_pid_ns = -1
        self._inherited_bytes = 0
        self._foreign_tasks = 0

    def prepare(self) -> None:
        """In the launcher: leave the host's files, users, network; the next child is pid 1 of a new pid namespace."""
        inner = linux.CLONE_NEWUSER | linux.CLONE_NEWNS | linux.CLONE_NEWPID
        inner |= linux.CLONE_NEWNET | linux.CLONE_NEWIPC | linux.CLONE_NEWUTS
        self._foreign_tasks = 0 if _kernel() >= (5, 14) else tasks_of_this_user()
        if os.geteuid() == 0:
            # Root builds the new root in a mount namespace of its own and removes the old one there: mounts inherited
            # into the user namespace below could never be removed.
            linux.unshare(linux.CLONE_NEWNS)
            self._root = self._build_root()
            linux.mount("proc", self._root + "/proc", "proc", linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC)
            linux.protect(self._root, recursive=False)
            linux.pivot_root(self._root)
            self._root = ""
            become(RUN_UID)
            linux.set_dumpable()
            _unshare_user(inner)
        else:
            _unshare_user(inner)
            self._root = self._build_root()

    def settle(self) -> None:
        """In the zygote, pid 1 of the worker's pid namespace."""
        linux.mount("proc", self._root + "/proc", "proc", linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC)
        if self._root:
            linux.protect(self._root, recursive=False)
            linux.pivot_root(self._root)
        with open("/proc/sys/user/max_user_namespaces", "w") as file:
            file.write("0")  # a program can't regain capabilities in a user namespace of its own
        socket.sethostname("sandbox")
        _raise_loopback()
        self._own_pid_ns = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)

    def before_fork(self) -> None:
        self._inherited_bytes = _address_space()
        linux.unshare(linux.CLONE_NEWPID)

    def after_fork(self) -> None:
        linux.setns(self._own_pid_ns, linux.CLONE_NEWPID)  # a pid namespace can only be unshared from one's own

    def confine(self, limits: Mapping[str, Any]) -> None:
        """In the run's process, pid 1 of the run's own pid namespace: private files and /proc, then no privileges."""
        os.setsid()
        linux.die_with_parent()
        linux.unshare(linux.CLONE_NEWNS | linux.CLONE_NEWIPC)
        space = f"size={limits['file_bytes']},nr_inodes=16384,mode=755"
        linux.mount("tmpfs", "/tmp", "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, space)
        linux.mount("proc", "/proc", "proc", linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC)
        os.mkdir("/tmp/shm")  # /dev/shm
        os.mkdir("/tmp/work")
        os.chdir("/tmp/work")
        # The launcher and the zygote count as two tasks of this user.
        set_limits(limits, self._inherited_bytes, int(limits["processes"]) + 2 + self._foreign_tasks)
        linux.set_capabilities()
        linux.no_new_privileges()

    def sweep(self) -> None:
        """Nothing to do: the run's namespaces went with its pid 1, and all it had with them."""

    def _build_root(self) -> str:
        sources = self._sources()
        root = next(
            (path for path in _ROOT_CANDIDATES if os.path.isdir(path) and not _hides(path, sources)), None
        )
        if root is None:
            raise OSError(2, f"none of {', '.join(_ROOT_CANDIDATES)} can serve as mount point of the new root")
        linux.mount("none", "/", flags=linux.MS_REC | linux.MS_PRIVATE)
        linux.mount("tmpfs", root, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "mode=755,size=4m")
        for source in sources:
            _show(source, root)
        for name in ("proc", "tmp", "dev", "etc"):
            os.makedirs(f"{root}/{name}", mode=0o755, exist_ok=True)
        for name in _ETC:
            if os.path.exists(f"/etc/{name}"):
                _show(f"/etc/{name}", root)
        for name, content in _FILES.items():
            with open(f"{root}/etc/{name}", "w") as file:
                file.write(content)
        for name in _DEVICES:
            _touch(f"{root}/dev/{name}")
            linux.bind(f"/dev/{name}", f"{root}/dev/{name}")
            linux.protect(f"{root}/dev/{name}", writable=True, devices=True)
        links = {"fd": "/proc/self/fd", "shm": "/tmp/shm"}
        links |= {name: f"/proc/self/fd/{fd}" for fd, name in enumerate(("stdin", "stdout", "stderr"))}
        for name, target in links.items():
            os.symlink(target, f"{root}/dev/{name}")
        return root

    def _sources(self) -> list[str]:
        """Directories to show, parents first, none inside another."""
        named = {path for path in (*_SYSTEM, *self._python_dirs) if os.path.isdir(path) and path != "/"}
        real = {os.path.realpath(path) for path in named if path not in _SYSTEM}
        kept: list[str] = []
        for path in sorted(named | real):
            if not any(path.startswith(parent + "/") for parent in kept if not os.path.islink(parent)):
                kept.append(path)
        return kept


class Rlimits:
    """Rung `rlimits`: a process group with resource limits. It can read what its user can, and reach the network."""

    def __init__(self, python_dirs: list[str]) -> None:
        self._python_dirs = python_dirs
        self._inherited_bytes = 0
        self._tasks = 0
        self.base = ""

    def prepare(self) -> None:
        if sys.platform == "linux":
            linux.adopt_orphans()  # the launcher kills what a dead zygote leaves
        self.base = tempfile.mkdtemp(prefix="iterpref-sandbox-")
        os.chmod(self.base, 0o711)

    def settle(self) -> None:
        if sys.platform == "linux":
            linux.adopt_orphans()

    def before_fork(self) -> None:
        self._inherited_bytes = _address_space()
        self._tasks = 0 if os.geteuid() == 0 else tasks_of_this_user()
        self._run_dir = f"{self.base}/run"
        os.mkdir(self._run_dir, 0o700)
        if os.geteuid() == 0:
            os.chown(self._run_dir, RUN_UID, RUN_UID)

    def after_fork(self) -> None:
        pass

    def confine(self, limits: Mapping[str, Any]) -> None:
        os.setsid()
        os.chdir(self._run_dir)
        for name in ("HOME", "TMPDIR"):
            os.environ[name] = self._run_dir
        tempfile.tempdir = None
        set_limits(limits, self._inherited_bytes, int(limits["processes"]) + self._tasks)
        if os.geteuid() == 0:
            # Never run a program as root: `kill -1` would end the machine. It keeps the right to read files only
            # where Python itself lies in a directory that others can't enter.
            readable = all(_others_may_enter(path) for path in self._python_dirs)
            linux.keep_capabilities()
            become(RUN_UID)
            linux.set_capabilities(*(() if readable else (linux.CAP_DAC_READ_SEARCH,)))
        if sys.platform == "linux":
            linux.no_new_privileges()
            linux.die_with_parent()

    def sweep(self) -> None:
        """Kill whatever the run left, wherever it hid, and remove its files."""
        kill_descendants()
        shutil.rmtree(self._run_dir, ignore_errors=True)


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
    limit(resource.RLIMIT_CORE, 0)
    if inherited_bytes:
        memory = inherited_bytes + int(limits["memory_bytes"])
        limit(resource.RLIMIT_AS, memory, memory + _SPARE_BYTES)
    if sys.platform == "linux":
        limit(resource.RLIMIT_NPROC, tasks)


def release_spare_memory() -> None:
    """In the run's process, before it reports: raise the soft memory limit to the hard one."""
    with contextlib.suppress(OSError, ValueError):
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


def become(uid: int) -> None:
    """Leave root for a user and group without any other right."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def kill_descendants() -> None:
    """SIGKILL and reap every descendant of this process (which adopts orphans), until none is left."""
    if sys.platform != "linux":
        return
    for _ in range(1000):
        tree = descendants(os.getpid())
        if not tree:
            return
        for pid in tree:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


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


def _show(source: str, root: str) -> None:
    """Put a host path, read-only, at the same place under the new root; a link stays a link."""
    target = root + source
    os.makedirs(os.path.dirname(target), mode=0o755, exist_ok=True)
    if os.path.islink(source) and source in _SYSTEM:
        os.symlink(os.readlink(source), target)
        return
    if os.path.isdir(source):
        os.makedirs(target, mode=0o755, exist_ok=True)
    else:
        _touch(target)
    linux.bind(os.path.realpath(source), target)
    linux.protect(target)


def _touch(path: str) -> None:
    with open(path, "w"):
        pass


def _hides(directory: str, sources: list[str]) -> bool:
    return any(source == directory or source.startswith(directory + "/") for source in sources)


def _others_may_enter(path: str) -> bool:
    parts = os.path.realpath(path).split("/")
    ancestors = ["/".join(parts[:stop]) or "/" for stop in range(1, len(parts) + 1)]
    return all(os.stat(ancestor).st_mode & 0o005 == 0o005 for ancestor in ancestors if os.path.exists(ancestor))


def _address_space() -> int:
    """Bytes of this process's address space; 0 where there is no /proc."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 0


def _kernel() -> tuple[int, int]:
    major, minor = os.uname().release.split(".")[:2]
    return int(major), int("".join(c for c in minor if c.isdigit()) or 0)


def _raise_loopback() -> None:
    """Bring up `lo` in the empty network namespace: programs may talk to themselves."""
    import fcntl
    import struct

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("16sh22x", b"lo", 0x1 | 0x40)  # IFF_UP | IFF_RUNNING
        fcntl.ioctl(sock, 0x8914, request)  # SIOCSIFFLAGS
