"""Rung `zygote_cgroup`: the namespaces rung in a control group, whose memory and tasks the kernel counts exactly.

One group a worker: moving each run into a group of its own would cost a grace period of the kernel's RCU each time. The
group's limit is what the idle zygote uses plus what a run may; the kernel's killer takes the run first. Needs root and
writable cgroups, version 1 or 2. A janitor, a process that stays root and does nothing else, removes the group when the
worker has ended; if that was killed too, the next worker does it (stale.py).
"""

import contextlib
import os
import time

from ..linux import stale
from ..linux.processes import is_root
from ..values.request import RunLimits
from .namespaces import Namespaces

_MOUNT = "/sys/fs/cgroup"
_SPARE_BYTES = 96 << 20  # page tables, the harness's reserve, page cache of the program's imports


class CgroupNamespaces(Namespaces):
    """Namespaces and a control group."""

    def __init__(self, python_dirs: list[str]) -> None:
        super().__init__(python_dirs)
        self._files: dict[str, int] = {}
        self._procs: list[int] = []
        self._claims: list[int] = []
        self._janitor = 0
        self._alive = -1
        self._limits: tuple[int, int, int] | None = None
        self._base_bytes = 0
        self._kills = 0

    def prepare(self) -> None:
        if not is_root():
            raise OSError(1, "control groups need root")
        groups, names = _groups()
        for group in groups:
            stale.sweep(os.path.dirname(group), os.rmdir)
            os.mkdir(group)
        self._claims = [stale.claim(group) for group in groups]
        self._start_janitor(groups)
        self._procs = [os.open(f"{group}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC) for group in groups]
        for key, path in names.items():
            writable = key in ("memory", "pids")
            self._files[key] = os.open(path, (os.O_WRONLY if writable else os.O_RDONLY) | os.O_CLOEXEC)
        super().prepare()

    def settle(self) -> None:
        for fd in self._procs:
            os.write(fd, b"0")
        super().settle()

    def before_fork(self, limits: RunLimits) -> None:
        super().before_fork(limits)
        self._kills = self._oom_kills()

    def hold(self, limits: RunLimits) -> None:
        wanted = (int(limits["memory_bytes"]), int(limits["file_bytes"]), int(limits["processes"]))
        if wanted == self._limits:
            return
        if self._base_bytes == 0:
            self._base_bytes = int(os.pread(self._files["usage"], 64, 0))
        with contextlib.suppress(OSError):  # busy: the last run's pages are still being given back
            os.pwrite(self._files["memory"], str(self._base_bytes + _SPARE_BYTES + wanted[0] + wanted[1]).encode(), 0)
            os.pwrite(self._files["pids"], str(wanted[2] + 1).encode(), 0)  # the zygote counts
            self._limits = wanted

    def confine(self, limits: RunLimits) -> None:
        super().confine(limits)
        with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")  # the run is killed first, not the zygote

    def limit_hit(self) -> str:
        return "memory_bytes" if self._oom_kills() > self._kills else ""

    def clear(self) -> None:
        os.close(self._alive)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._janitor, 0)

    def why_refused(self, error: OSError) -> str:
        text = error.strerror or str(error)
        return f"{text}; a cgroup needs root and a writable {_MOUNT} with the memory and pids controllers"

    def _oom_kills(self) -> int:
        lines = os.pread(self._files["events"], 4096, 0).split(b"\n")
        return next((int(line.split()[1]) for line in lines if line.startswith(b"oom_kill ")), 0)

    def _start_janitor(self, groups: list[str]) -> None:
        read_fd, self._alive = os.pipe()
        self._janitor = os.fork()
        if self._janitor:
            os.close(read_fd)
            return
        try:
            os.setsid()
            os.closerange(0, read_fd)
            os.closerange(read_fd + 1, 4096)
            os.read(read_fd, 1)  # ends when launcher and zygote are gone
            for _ in range(6000):
                for group in groups:
                    with contextlib.suppress(OSError):  # its last process is still ending
                        os.rmdir(group)
                if not any(map(os.path.exists, groups)):
                    break
                time.sleep(0.01)
        finally:
            os._exit(0)


def _groups() -> tuple[list[str], dict[str, str]]:
    """New groups to make, and the files that limit and count; `OSError` if there is no place for them."""
    name = f"iterpref-sandbox-{os.getpid()}"
    own: dict[str, str] = {}
    with open("/proc/self/cgroup") as file:
        for line in file:
            _, controllers, path = line.rstrip("\n").split(":", 2)
            own |= {controller: path.rstrip("/") for controller in controllers.split(",")}
    if "memory" in own and "pids" in own:
        memory, pids = (f"{_MOUNT}/{which}{own[which]}/{name}" for which in ("memory", "pids"))
        files = {"memory": "limit_in_bytes", "usage": "usage_in_bytes", "events": "oom_control"}
        paths = {key: f"{memory}/memory.{file}" for key, file in files.items()}
        return [memory, pids], {"pids": f"{pids}/pids.max"} | paths
    for parent in (own.get("", ""), os.path.dirname(own.get("", "").rstrip("/"))):
        folder = f"{_MOUNT}{parent.rstrip('/')}"
        with contextlib.suppress(OSError), open(f"{folder}/cgroup.subtree_control") as file:
            if {"memory", "pids"} <= set(file.read().split()):
                group = f"{folder}/{name}"
                files = {"memory": "memory.max", "usage": "memory.current", "events": "memory.events"}
                return [group], {key: f"{group}/{file}" for key, file in ({"pids": "pids.max"} | files).items()}
    raise OSError(2, f"no cgroup below {_MOUNT} has the memory and pids controllers for its children")
