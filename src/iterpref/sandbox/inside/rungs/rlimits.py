"""Rung `rlimits`: a process group, a folder, resource limits, on any POSIX system. A guard against accidents only."""

import os
import shutil
import subprocess
import sys
import tempfile

from ..linux import stale, syscalls
from ..linux.limits import address_space, limiting
from ..linux.processes import RUN_UID, become, is_root, kill_descendants, others_may_enter, tasks_of_this_user
from ..values.request import RunLimits
from .rung import Rung


class Rlimits(Rung):
    """It can read what its user can, and reach the network."""

    def __init__(self, python_dirs: list[str]) -> None:
        super().__init__(python_dirs)
        self._inherited_bytes = 0
        self._tasks = 0
        self._base = ""
        self._claim = -1
        self._run_dir = ""
        self._uid = 0

    def prepare(self) -> None:
        if sys.platform == "linux":
            syscalls.run(syscalls.ADOPTING_ORPHANS)  # the launcher kills what a dead zygote leaves
        stale.sweep(tempfile.gettempdir(), _remove_tree)
        self._base = tempfile.mkdtemp(prefix=f"iterpref-sandbox-{os.getpid()}-")
        self._claim = stale.claim(self._base)
        os.chmod(self._base, 0o711)
        self._run_dir = f"{self._base}/run"
        # One uid a worker: RLIMIT_NPROC and `kill -1` go by uid.
        self._uid = RUN_UID + os.getpid() % 1000

    def settle(self) -> None:
        if sys.platform == "linux":
            syscalls.run(syscalls.ADOPTING_ORPHANS)

    def before_fork(self, limits: RunLimits) -> None:
        self._inherited_bytes = address_space()
        self._tasks = 0 if is_root() else tasks_of_this_user()
        os.mkdir(self._run_dir, 0o700)
        if is_root():
            os.chown(self._run_dir, self._uid, self._uid)

    def confine(self, limits: RunLimits) -> None:
        os.setsid()
        os.chdir(self._run_dir)
        for name in ("HOME", "TMPDIR"):
            os.environ[name] = self._run_dir
        tempfile.tempdir = None
        syscalls.run(*limiting(limits, self._inherited_bytes, int(limits["processes"]) + self._tasks))
        if is_root():
            self._leave_root()
        if sys.platform == "linux":
            syscalls.run(syscalls.NO_NEW_PRIVILEGES, syscalls.DYING_WITH_PARENT)

    def _leave_root(self) -> None:
        """Never run a program as root: `kill -1` would end the machine. It keeps the right to read files only where
        Python itself lies in a directory that others can't enter."""
        if sys.platform != "linux":
            become(self._uid)
            return
        readable = all(others_may_enter(path) for path in self._python_dirs)
        syscalls.run(syscalls.KEEPING_CAPABILITIES)
        become(self._uid)
        syscalls.set_capabilities(*(() if readable else (syscalls.CAP_DAC_READ_SEARCH,)))

    def sweep(self) -> None:
        """Kill whatever the run left, wherever it hid, and remove its files."""
        kill_descendants()
        _remove_tree(self._run_dir)

    def clear(self) -> None:
        kill_descendants()
        _remove_tree(self._base)


def _remove_tree(path: str) -> None:
    try:
        shutil.rmtree(path, ignore_errors=True)
    except RecursionError:  # a program nested directories deeper than Python's stack
        subprocess.run(["rm", "-rf", path], check=False)
