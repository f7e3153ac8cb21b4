"""How many runs this process has under way, so that one whose time decides its verdict can run beside few others."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager


def cpus() -> int:
    """CPUs that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


class Crowd:
    """Places for runs: any number of ordinary ones, for the pools bound them; beside a quiet one half of the CPUs.

    So a quiet run shares its core with no other run, and on two or three CPUs it is the only one. Quiet ones that wait
    go first. Half, because with one at a time a few endless programs would hold up a large machine.
    """

    def __init__(self, cpus: int) -> None:
        self._half = max(1, cpus // 2)
        self._running = 0  # quiet ones too
        self._quiet = 0
        self._waiting = 0  # quiet ones only
        self._changed = threading.Condition()

    @contextmanager
    def place(self, quiet: bool = False) -> Iterator[None]:
        """Wait for a place, and hold it."""
        with self._changed:
            self._waiting += quiet
            try:
                self._changed.wait_for(lambda: self._may_start(quiet))
            finally:
                self._waiting -= quiet
                self._changed.notify_all()
            self._quiet += quiet
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._quiet -= quiet
                self._running -= 1
                self._changed.notify_all()

    def _may_start(self, quiet: bool) -> bool:
        room = self._running < self._half
        return room if quiet else not self._waiting and (room or not self._quiet)


RUNS = Crowd(cpus())  # of all sandboxes of this process
