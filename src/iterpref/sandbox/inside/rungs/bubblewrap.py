"""Rung `bubblewrap`: every run is a fresh interpreter that the program `bwrap` starts in namespaces of its own.

For machines where only an installed bubblewrap (set-uid, or allowed by an AppArmor profile) may make namespaces. Slow:
a run costs the start of an interpreter and of all it imports. It sees system and Python files read-only, a `/tmp` of
its own, no network. `main` runs inside.
"""

import json
import os
import shutil
import site
import sys

from ..harness import own_signals
from ..linux import seccomp, syscalls
from ..linux.file_tree import ETC, ETC_FILES, INNER_UID, SYSTEM, memory_file, visible_directories
from ..linux.limits import address_space, limiting, reserve_memory
from ..linux.processes import RUN_UID, become, is_root, kill_descendants, others_may_enter, tasks_of_this_user
from ..values.request import ProbeRequest, RunLimits, RunRequest
from ..worker import boot
from ..worker.boot import PACKAGE
from ..worker.wire import RawRun
from .namespaces import why_refused
from .rung import Rung, doing

_HARNESS = "/.harness"
_STARTED = b"started\n"
_MAIN = f"from {PACKAGE}.rungs.bubblewrap import main; main(int(sys.argv[2]), int(sys.argv[3]))"
_OPTIONS = (
    "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-net", "--unshare-uts", "--die-with-parent",
    "--as-pid-1", "--cap-drop", "ALL", "--hostname", "sandbox",
)  # fmt: skip


class Bubblewrap(Rung):
    """`confine` gives up root; `execute` replaces the forked process by bubblewrap."""

    def __init__(self, python_dirs: list[str]) -> None:
        super().__init__(python_dirs)
        self._command: list[str] = []
        self._uid = 0
        self._filter = b""

    def ring(self) -> int:
        return -1  # a run shares no page with the zygote

    def prepare(self) -> None:
        program = shutil.which("bwrap")
        if program is None:
            raise OSError(2, "the program bwrap is not installed (package bubblewrap)")
        syscalls.run(syscalls.ADOPTING_ORPHANS)
        if is_root():
            # As the host's root a program could write to /proc/sys and would have no process limit; and another user
            # can't enter what only root may.
            closed = [path for path in (*self._python_dirs, boot.FOLDER) if not others_may_enter(path)]
            if closed:
                raise OSError(13, f"started by root it runs as another user, who can't enter {closed[0]}")
            self._uid = RUN_UID + os.getpid() % 1000
        self._command = [program, *_OPTIONS, "--uid", str(INNER_UID), "--gid", str(INNER_UID)]

    def settle(self) -> None:
        syscalls.run(syscalls.ADOPTING_ORPHANS)
        self._filter = b"" if seccomp.available() else seccomp.confinement(own_network=True).code

    def confine(self, limits: RunLimits) -> None:
        os.setsid()
        if self._uid:
            become(self._uid)
        syscalls.run(syscalls.DYING_WITH_PARENT)

    def execute(self, request: RunRequest | ProbeRequest, channel: int) -> None:
        """Never returns."""
        os.set_inheritable(channel, True)
        tasks = 0 if syscalls.version() >= (5, 14) else tasks_of_this_user()
        told = {"path": sys.path, "prefix": sys.prefix, "tasks": tasks, "request": dict(request)}
        words = [*self._command, *self._files(int(request["limits"]["file_bytes"]))]
        if self._filter:
            words += ["--seccomp", str(memory_file(self._filter, over_exec=True))]
        inner = boot.command(_MAIN, memory_file(json.dumps(told).encode(), over_exec=True), channel, folder=_HARNESS)
        os.execv(self._command[0], [*words, "--", *inner])

    def _files(self, space: int) -> list[str]:
        words = ["--size", str(space), "--perms", "1777", "--tmpfs", "/tmp", "--proc", "/proc", "--dev", "/dev"]
        words += ["--size", str(space), "--perms", "1777", "--tmpfs", "/dev/shm", "--dir", "/tmp/work"]
        for path in visible_directories(self._python_dirs):
            if os.path.islink(path) and path in SYSTEM:
                words += ["--symlink", os.readlink(path), path]
            else:
                words += ["--ro-bind", os.path.realpath(path), path]
        for path in ETC:
            words += ["--ro-bind-try", path, path]
        for name, content in ETC_FILES.items():
            words += ["--ro-bind-data", str(memory_file(content.encode(), over_exec=True)), f"/etc/{name}"]
        return [*words, "--ro-bind", boot.FOLDER, _HARNESS, "--chdir", "/tmp/work", "--remount-ro", "/"]

    def finish(self, run: RawRun) -> None:
        """bubblewrap ends with 128 and the number of the signal that ended the program."""
        run.status = 128 - run.status if 128 < run.status <= 192 else run.status
        if run.channel.startswith(_STARTED):
            run.channel = run.channel.removeprefix(_STARTED)
        elif not run.setup_error:
            said = run.stderr[-500:].decode(errors="replace").strip()
            run.setup_error = f"bubblewrap did not start the run: {said}"

    def sweep(self) -> None:
        kill_descendants()

    clear = sweep

    def why_refused(self, error: OSError) -> str:
        return error.strerror or str(error) if error.errno in (2, 13) else why_refused(error)


def main(request_fd: int, channel: int) -> None:
    """In the run's own interpreter: take the request, set the limits, hand over to the harness."""
    with os.fdopen(request_fd, "rb") as file:
        told = json.loads(file.read())
    request = told["request"]
    sys.path[:] = told["path"]
    sys.prefix = sys.exec_prefix = told["prefix"]
    site.setquit()
    own_signals.replace_senders()
    os.write(channel, _STARTED)
    os.closerange(3, channel)
    os.closerange(channel + 1, 4096)
    os.set_inheritable(channel, False)
    limits = request["limits"]
    reserve_memory()
    syscalls.run(*limiting(limits, address_space(), int(limits["processes"]) + 4 + told["tasks"]))
    doing(request)(request, channel)
    os._exit(0)
