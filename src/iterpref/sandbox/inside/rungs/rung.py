"""What the launcher, the zygote and a run (zygote.py) ask of an isolation rung, and what most rungs answer."""

from collections.abc import Callable
from importlib import import_module

from ..harness import harness, rehearsal
from ..linux import pinning, seccomp
from ..values.request import ProbeRequest, RunLimits, RunRequest
from ..worker.wire import RawRun
from . import selftest
from .table import RUNGS


class Rung:
    """One way to isolate runs: what happens at which moment. Where a rung says nothing, nothing does.

    Any `OSError` of `prepare` and `settle`, and any exception of `confine`, refuses the rung.
    """

    def __init__(self, python_dirs: list[str]) -> None:
        self._python_dirs = python_dirs

    def ring(self) -> int:
        """In the launcher, first of all: what pages can be pinned with (pinning.py); -1 where that can't be had."""
        try:
            return pinning.open_ring()
        except OSError:
            return -1

    def prepare(self) -> None:
        """In the launcher, before it forks the zygote."""

    def settle(self) -> None:
        """In the zygote, once."""

    def hold(self, limits: RunLimits) -> None:
        """In the zygote, before each run: limits that hold it from outside."""

    def before_fork(self, limits: RunLimits) -> None:
        """In the zygote, after `hold`."""

    def after_fork(self) -> None:
        """In the zygote."""

    def confine(self, limits: RunLimits) -> None:
        """In the run's process: shut it in."""

    def execute(self, request: RunRequest | ProbeRequest, channel: int) -> None:
        """In the run's process, confined: do what is asked."""
        doing(request)(request, channel)

    def sweep(self) -> None:
        """In the zygote, after each run: end what is left of it."""

    def limit_hit(self) -> str:
        """In the zygote, after each run: the field of `Limits` it broke, as far as the rung knows."""
        return ""

    def finish(self, run: RawRun) -> None:
        """In the zygote, after each run: put right what is said of its end."""

    def clear(self) -> None:
        """In the launcher, at the end: leave nothing behind."""

    def why_refused(self, error: OSError) -> str:
        """What blocks the rung here, and what would allow it."""
        return f"{error.strerror or error} (errno {error.errno})"


def make_rung(name: str, python_dirs: list[str]) -> Rung:
    """The rung of this name; only its own file is loaded."""
    file, _, made_by = RUNGS[name].made_by.partition(".")
    rung: Rung = getattr(import_module(f".{file}", __package__), made_by)(python_dirs)
    return rung


def doing(request: RunRequest | ProbeRequest) -> Callable[..., None]:
    """What does it. Called by whoever asks: how deep a program may recurse depends on how many calls lie below it."""
    by_mode: dict[str, Callable[..., None]] = {"probe": _probe, "pages": rehearsal.report_pages}
    return by_mode.get(request["mode"], harness.run)


def _probe(request: ProbeRequest, channel: int) -> None:
    selftest.check(request["isolation"], seccomp=not seccomp.available())
