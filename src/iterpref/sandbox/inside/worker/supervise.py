"""Watch one run from the zygote: collect its pipes, hold it to its limits, kill it and measure it.

Nothing that it wrote is interpreted; that something came on the channel is taken as the end of a call, whose time is
bounded where the limits say so. CPU time is the first bound and wall time the outer one; the CPU time and memory of all
descendants are sampled ten times a second.
"""

import contextlib
import math
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from ..linux.limits import SLACK_BYTES
from ..linux.processes import descendants, pidfd
from ..values.request import RunLimits
from .wire import RawRun

CHANNEL_BYTES = 16 << 20
_TICK_S = 0.1
_FIRST_LOOK_S = 0.005
_SHORT_S = 0.01
_CHUNK = 1 << 16
_PAGE = os.sysconf("SC_PAGESIZE")
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024  # of `ru_maxrss`
_CLOCK_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


class HostGone(Exception):
    """The host closed the connection while a run was under way."""


class Supervisor:
    """One run. `pipes`: by the field of `RawRun` that takes what comes."""

    def __init__(self, pid: int, pipes: Mapping[str, int], limits: RunLimits, host_fd: int) -> None:
        self._pid = pid
        self._pipes = dict(pipes)
        self._limits = limits
        self._host_fd = host_fd
        self._started = time.monotonic()
        self._streams = {name: bytearray() for name in pipes}
        self._reported_bytes = 0
        self._call_began = 0.0, 0.0  # wall and CPU time of the run
        self._waited: tuple[int, Any] | None = None  # status and usage, where it had to be waited for to see its end
        self.run = RawRun()

    def watch(self, sweep: Callable[[], None]) -> RawRun:
        """Return when the process and all its descendants are gone and everything they wrote has been read.

        `sweep` kills what can't be killed through the process. Raises `HostGone`, after the kill.
        """
        host_gone = False
        try:
            self._until_end()
        except HostGone:
            host_gone = True
        self._kill()
        status, usage = self._waited or os.wait4(self._pid, 0)[1:]
        self.run.wall_s = time.monotonic() - self._started
        sweep()
        for name, fd in self._pipes.items():
            self._drain(name, fd)
            setattr(self.run, name, bytes(self._streams[name]))
        self.run.status = os.waitstatus_to_exitcode(status)
        self.run.cpu_s = max(self.run.cpu_s, usage.ru_utime + usage.ru_stime)
        self.run.max_rss_bytes = max(self.run.max_rss_bytes, usage.ru_maxrss * _RSS_UNIT)
        if not self.run.limit and self.run.cpu_s >= float(self._limits["cpu_s"]):
            self.run.limit = "cpu_s"  # the kernel's own CPU limit was faster than a sample
        if host_gone:
            raise HostGone
        return self.run

    def _until_end(self) -> None:
        """Return when the process has ended or broken a limit."""
        poller = select.poll()
        ended_fd = pidfd(self._pid)
        poller.register(self._host_fd, 0)
        if ended_fd >= 0:
            poller.register(ended_fd, select.POLLIN)
        try:
            self._poll(poller, ended_fd)
        finally:
            if ended_fd >= 0:
                os.close(ended_fd)

    def _poll(self, poller: select.poll, ended_fd: int) -> None:
        """`ended_fd` tells when the process ends; -1 where there is no such thing, and it must be asked often."""
        open_fds: dict[int, str] = {}
        next_sample = self._started + _TICK_S
        # A short run is let alone: what it writes fits into its pipes, and each look costs two context switches.
        timeout_s = _FIRST_LOOK_S if ended_fd >= 0 else 0.0
        while True:
            if self._events(poller, 1000 * timeout_s, open_fds, ended_fd):
                return
            if not open_fds and timeout_s < _SHORT_S:  # after the first look; later, all have been closed
                open_fds |= {fd: name for name, fd in self._pipes.items()}
                for fd in open_fds:
                    poller.register(fd, select.POLLIN)
            timeout_s = _TICK_S if ended_fd >= 0 else _SHORT_S
            if ended_fd < 0 and self._has_ended():
                return
            self._take_time()
            if time.monotonic() >= next_sample:
                next_sample = time.monotonic() + _TICK_S
                self._sample_tree()
            self._check_time()
            if self.run.limit:
                return

    def _has_ended(self) -> bool:
        """Ask, where nothing tells. Its pid is kept until all of its group are gone, where `waitid` allows that."""
        if hasattr(os, "waitid"):
            return os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        pid, status, usage = os.wait4(self._pid, os.WNOHANG)
        self._waited = (status, usage) if pid else None
        return bool(pid)

    def _events(self, poller: select.poll, timeout_ms: float, open_fds: dict[int, str], ended_fd: int) -> bool:
        """Wait, read what there is, forget pipes that were closed; whether the process has ended."""
        for fd, event in poller.poll(timeout_ms):
            if fd == self._host_fd and event:
                raise HostGone
            if fd in open_fds and not self._read(open_fds[fd], fd):
                poller.unregister(fd)
                del open_fds[fd]
            elif fd == ended_fd:
                return True
        return False

    def _read(self, name: str, fd: int) -> bool:
        """Take what is there; False at the end of the stream."""
        try:
            chunk = os.read(fd, _CHUNK)
        except BlockingIOError:
            return True
        self._streams[name] += chunk
        if name == "channel":
            if len(self._streams[name]) > CHANNEL_BYTES:
                self.run.limit = "result_bytes"
        elif sum(len(s) for n, s in self._streams.items() if n != "channel") > self._limits["output_bytes"]:
            self.run.limit = "output_bytes"
        return bool(chunk)

    def _drain(self, name: str, fd: int) -> None:
        bound = CHANNEL_BYTES if name == "channel" else int(self._limits["output_bytes"])
        while len(self._streams[name]) <= bound:
            try:
                chunk = os.read(fd, _CHUNK)
            except BlockingIOError:
                return
            if not chunk:
                break
            self._streams[name] += chunk
        else:
            self.run.limit = self.run.limit or ("result_bytes" if name == "channel" else "output_bytes")

    def _take_time(self) -> None:
        self.run.wall_s = time.monotonic() - self._started
        with contextlib.suppress(OSError):
            cpu_s = time.clock_gettime((~self._pid << 3) | 2)  # Linux: the CPU clock of a process
            self.run.cpu_s = max(self.run.cpu_s, cpu_s)

    def _check_time(self) -> None:
        """Name the limit that is used up, if one is. A call that ended since the last look counts as ended now."""
        used = self.run.wall_s, self.run.cpu_s
        if len(self._streams["channel"]) > self._reported_bytes:
            self._reported_bytes, self._call_began = len(self._streams["channel"]), used
        if self.run.limit:
            return
        bounds: dict[str, Any] = {**self._limits}
        for name, used_s, began_s in zip(("wall_s", "cpu_s"), used, self._call_began, strict=True):
            if used_s >= bounds[name]:
                self.run.limit = name
            elif used_s - began_s >= bounds.get(f"call_{name}", math.inf):
                self.run.limit = f"call_{name}"

    def _sample_tree(self) -> None:
        cpu_s, memory, base_bytes = 0.0, 0, _private_bytes(os.getpid())
        for pid in descendants(os.getpid()):
            with contextlib.suppress(OSError, ValueError):
                with open(f"/proc/{pid}/stat", "rb") as file:
                    fields = file.read().rpartition(b")")[2].split()
                cpu_s += sum(map(int, fields[11:15])) * _CLOCK_TICK_S
                memory += max(0, _private_bytes(pid) - base_bytes)
        self.run.cpu_s = max(self.run.cpu_s, cpu_s)
        # Above what one process gets: it meets its own limit first and can report a MemoryError. This is for many.
        if memory > int(self._limits["memory_bytes"]) + SLACK_BYTES:
            self.run.limit = "memory_bytes"

    def _kill(self) -> None:
        for kill in (os.killpg, os.kill):
            with contextlib.suppress(ProcessLookupError, PermissionError):  # gone, or a group of other users
                kill(self._pid, signal.SIGKILL)


def _private_bytes(pid: int) -> int:
    """Resident memory that isn't file pages; 0 where there is no /proc."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            resident, shared = file.read().split()[1:3]
        return (int(resident) - int(shared)) * _PAGE
    except OSError:
        return 0
