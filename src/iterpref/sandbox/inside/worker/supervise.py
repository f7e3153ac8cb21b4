"""Watch one run from the zygote: collect its pipes, hold it to its limits, kill it and measure it.

In: the pid of a confined process and the read ends of its pipes. Out: `Outcome`. Nothing that it wrote is interpreted.
CPU time is the first bound and wall time the outer one; the CPU time and memory of all descendants are sampled ten
times a second. Standard library only.
"""

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..linux.limits import SLACK_BYTES
from ..linux.processes import descendants
from .wire import pack_outcome

CHANNEL_BYTES = 16 << 20
_TICK_S = 0.1
_FIRST_LOOK_S = 0.005
_CHUNK = 1 << 16
_PAGE = os.sysconf("SC_PAGESIZE")
_CLOCK_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclass
class Outcome:
    """How a run ended. `status`: exit code, or minus the signal. `limit`: the field of `Limits` it broke, or ""."""

    status: int = 0
    limit: str = ""
    wall_s: float = 0.0
    cpu_s: float = 0.0
    max_rss_bytes: int = 0
    setup_error: str = ""
    streams: dict[str, bytearray] = field(default_factory=dict)

    def frames(self) -> list[bytes]:
        """As the host reads it: three frames of `wire.pack_outcome`, and one for each stream."""
        head = pack_outcome(self.status, self.limit, self.wall_s, self.cpu_s, self.max_rss_bytes, self.setup_error)
        return [*head, *map(bytes, self.streams.values())]


class HostGone(Exception):
    """The host process closed the connection while a run was under way."""


class Supervisor:
    """One run. `sweep` kills what the rung can't kill through the first process."""

    def __init__(self, pid: int, pipes: Mapping[str, int], limits: Mapping[str, Any], host_fd: int) -> None:
        self._pid = pid
        self._pipes = dict(pipes)
        self._limits = limits
        self._host_fd = host_fd
        self._started = time.monotonic()
        self.outcome = Outcome(streams={name: bytearray() for name in pipes})

    def watch(self, sweep: Callable[[], None]) -> Outcome:
        """Return when the process and all its descendants are gone and everything they wrote has been read.

        Raises:
            HostGone: After the kill.
        """
        host_gone = False
        try:
            self._until_end()
        except HostGone:
            host_gone = True
        self._kill()
        _, status, usage = os.wait4(self._pid, 0)
        self.outcome.wall_s = time.monotonic() - self._started
        sweep()
        for name, fd in self._pipes.items():
            self._drain(name, fd)
        self.outcome.status = os.waitstatus_to_exitcode(status)
        self.outcome.cpu_s = max(self.outcome.cpu_s, usage.ru_utime + usage.ru_stime)
        self.outcome.max_rss_bytes = max(self.outcome.max_rss_bytes, usage.ru_maxrss * 1024)
        if not self.outcome.limit and self.outcome.cpu_s >= float(self._limits["cpu_s"]):
            self.outcome.limit = "cpu_s"  # the kernel's own CPU limit was faster than a sample
        if host_gone:
            raise HostGone
        return self.outcome

    def _until_end(self) -> None:
        poller = select.poll()
        ended_fd = os.pidfd_open(self._pid) if hasattr(os, "pidfd_open") else -1
        open_fds: dict[int, str] = {}
        poller.register(self._host_fd, 0)
        if ended_fd >= 0:
            poller.register(ended_fd, select.POLLIN)
        # A short run is let alone: what it writes fits into its pipes, and each look costs two context switches.
        timeout_s = _FIRST_LOOK_S if ended_fd >= 0 else 0.0
        next_sample = self._started + _TICK_S
        try:
            while True:
                for fd, event in poller.poll(1000 * timeout_s):
                    if fd == self._host_fd and event:
                        raise HostGone
                    if fd in open_fds and not self._read(open_fds[fd], fd):
                        poller.unregister(fd)
                        del open_fds[fd]
                    elif fd == ended_fd:
                        return
                if not open_fds and timeout_s < 0.01:
                    open_fds = {fd: name for name, fd in self._pipes.items()}
                    for fd in open_fds:
                        poller.register(fd, select.POLLIN)
                timeout_s = _TICK_S if ended_fd >= 0 else 0.01
                if ended_fd < 0 and os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                    return
                self._check_time()
                if time.monotonic() >= next_sample:
                    next_sample = time.monotonic() + _TICK_S
                    self._sample_tree()
                if self.outcome.limit:
                    return
        finally:
            if ended_fd >= 0:
                os.close(ended_fd)

    def _read(self, name: str, fd: int) -> bool:
        """Take what is there; False at the end of the stream."""
        try:
            chunk = os.read(fd, _CHUNK)
        except BlockingIOError:
            return True
        self.outcome.streams[name] += chunk
        if name == "channel":
            if len(self.outcome.streams[name]) > CHANNEL_BYTES:
                self.outcome.limit = "result_bytes"
        elif sum(len(s) for n, s in self.outcome.streams.items() if n != "channel") > self._limits["output_bytes"]:
            self.outcome.limit = "output_bytes"
        return bool(chunk)

    def _drain(self, name: str, fd: int) -> None:
        bound = CHANNEL_BYTES if name == "channel" else int(self._limits["output_bytes"])
        while len(self.outcome.streams[name]) <= bound:
            try:
                chunk = os.read(fd, _CHUNK)
            except BlockingIOError:
                return
            if not chunk:
                break
            self.outcome.streams[name] += chunk
        else:
            self.outcome.limit = self.outcome.limit or ("result_bytes" if name == "channel" else "output_bytes")

    def _check_time(self) -> None:
        if time.monotonic() - self._started >= float(self._limits["wall_s"]):
            self.outcome.limit = "wall_s"
        with contextlib.suppress(OSError):
            cpu_s = time.clock_gettime((~self._pid << 3) | 2)  # Linux: the CPU clock of a process
            self.outcome.cpu_s = max(self.outcome.cpu_s, cpu_s)
        if self.outcome.cpu_s >= float(self._limits["cpu_s"]):
            self.outcome.limit = "cpu_s"

    def _sample_tree(self) -> None:
        cpu_s, memory, base_bytes = 0.0, 0, _private_bytes(os.getpid())
        for pid in descendants(os.getpid()):
            with contextlib.suppress(OSError, ValueError):
                with open(f"/proc/{pid}/stat", "rb") as file:
                    fields = file.read().rpartition(b")")[2].split()
                cpu_s += sum(map(int, fields[11:15])) * _CLOCK_TICK_S
                memory += max(0, _private_bytes(pid) - base_bytes)
        self.outcome.cpu_s = max(self.outcome.cpu_s, cpu_s)
        # Above what one process gets: it meets its own limit first and can report a MemoryError. This is for many.
        if memory > int(self._limits["memory_bytes"]) + SLACK_BYTES:
            self.outcome.limit = "memory_bytes"
        if self.outcome.cpu_s >= float(self._limits["cpu_s"]):
            self.outcome.limit = "cpu_s"

    def _kill(self) -> None:
        for kill in (os.killpg, os.kill):
            try:
                kill(self._pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                continue  # gone, or a group of other users


def _private_bytes(pid: int) -> int:
    """Resident memory that isn't file pages; 0 where there is no /proc."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            resident, shared = file.read().split()[1:3]
        return (int(resident) - int(shared)) * _PAGE
    except OSError:
        return 0
