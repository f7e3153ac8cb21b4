"""What the zygote asks of an isolation rung, and what most rungs answer.

A worker is two processes, a launcher and its child, the zygote, which forks one process a run. Every rung answers the
same calls: `prepare` (launcher), `settle` (zygote, once), `hold`, `before_fork`, `after_fork` (zygote, each run),
`confine`, `execute` (the run's process), `sweep`, `limit_hit`, `exit_status`, `start_error` (zygote, after the run),
`clear` (launcher, at the end). The rungs: namespaces.py, cgroups.py, bubblewrap.py, landlock.py, rlimits.py.
Standard library only. Not here: supervision (supervise.py), the system calls refused (seccomp.py).
"""

from collections.abc import Mapping
from typing import Any, Protocol

from ..harness import harness


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
