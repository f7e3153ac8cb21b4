"""What the zygote asks of an isolation rung, and what most rungs answer.

A worker is two processes, a launcher and its child, the zygote, which forks one process a run. Every rung answers the
same calls: `prepare` (launcher), `settle` (zygote, once), `hold`, `before_fork`, `after_fork` (zygote, each run),
`confine`, `execute` (the run's process), `sweep`, `limit_hit`, `exit_status`, `start_error` (zygote, after the run),
`clear` (launcher, at the end). Standard library only. Not here: which rungs there are (table.py), supervision
(supervise.py), the system calls refused (seccomp.py).
"""

from importlib import import_module
from typing import Protocol

from ..harness import harness
from ..linux import seccomp
from ..request import ProbeRequest, Request, RunLimits
from . import selftest
from .table import RUNGS


class Rung(Protocol):
    """What the zygote asks of an isolation rung."""

    def prepare(self) -> None: ...
    def settle(self) -> None: ...
    def hold(self, limits: RunLimits) -> None: ...
    def before_fork(self, limits: RunLimits) -> None: ...
    def after_fork(self) -> None: ...
    def confine(self, limits: RunLimits) -> None: ...
    def sweep(self) -> None: ...
    def limit_hit(self) -> str: ...
    def execute(self, request: Request | ProbeRequest, channel: int) -> None: ...
    def exit_status(self, status: int) -> int: ...
    def start_error(self, streams: dict[str, bytearray]) -> str: ...
    def clear(self) -> None: ...
    def why_refused(self, error: OSError) -> str: ...


class RungDefaults:
    """What most rungs answer: nothing holds a run from outside, and it goes on in the forked process."""

    def hold(self, limits: RunLimits) -> None: ...

    def limit_hit(self) -> str:
        return ""

    def execute(self, request: Request | ProbeRequest, channel: int) -> None:
        carry_out(request, channel)

    def exit_status(self, status: int) -> int:
        return status

    def start_error(self, streams: dict[str, bytearray]) -> str:
        """Why the harness never began, after all was confined; "" if it did."""
        return ""


def make_rung(name: str, python_dirs: list[str]) -> Rung:
    """The rung of this name; only its own file is loaded."""
    file, _, made_by = RUNGS[name].made_by.partition(".")
    rung: Rung = getattr(import_module(f".{file}", __package__), made_by)(python_dirs)
    return rung


def carry_out(request: Request | ProbeRequest, channel: int) -> None:
    """In the run's process, confined: what was asked."""
    if request["mode"] == "probe":
        selftest.check(request["isolation"], seccomp=not seccomp.available())
    else:
        harness.run(request, channel)
