"""Who may run now, who waits, and who is sent away: the queue never grows beyond what was set."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from .metrics import ServiceMetrics

T = TypeVar("T")
_LONGEST_S = 30  # that a client is asked to stay away


class Full(Exception):
    """No place is left; `retry_after_s` is when one probably is."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"all places are taken; try again in {retry_after_s} s")
        self.retry_after_s = retry_after_s


class ClientLeft(Exception):
    """The client has left; nothing needs to run for it."""


class Gate:
    """Places for jobs. Of one event loop; what runs does so on a thread of its own.

    Args:
        workers: Jobs that run at once.
        queue: Jobs that wait, at most.
    """

    def __init__(self, workers: int, queue: int, metrics: ServiceMetrics) -> None:
        self.places = workers + queue
        self._workers = workers
        self._taken = 0
        self._typical_s = 0.1  # of a run; learned
        self._running = asyncio.Semaphore(workers)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="service")
        self._metrics = metrics

    @contextmanager
    def enter(self, jobs: int = 1) -> Iterator[None]:
        """Hold places for so many jobs.

        Raises:
            Full: There are not as many left.
        """
        if self._taken + jobs > self.places:
            self._metrics.refused.inc(jobs)
            raise Full(min(_LONGEST_S, max(1, math.ceil(self._taken * self._typical_s / self._workers))))
        self._taken += jobs
        self._metrics.waiting.inc(jobs)
        try:
            yield
        finally:
            self._taken -= jobs
            self._metrics.waiting.dec(jobs)

    async def run(self, work: Callable[[], T], gone: Callable[[], Awaitable[bool]]) -> T:
        """The result of `work` on a thread, when its turn has come.

        Raises:
            ClientLeft: The client left while the job waited.
        """
        asked = time.monotonic()
        await self._running.acquire()
        try:
            if await gone():
                raise ClientLeft
        except BaseException:
            self._running.release()
            raise
        began = time.monotonic()
        self._metrics.queued_s.observe(began - asked)
        self._metrics.running.inc()
        run = asyncio.get_running_loop().run_in_executor(self._threads, work)
        run.add_done_callback(lambda ended: self._end(time.monotonic() - began))
        return await asyncio.shield(run)  # a thread can't be stopped: its place is free when it has ended

    def _end(self, took_s: float) -> None:
        self._running.release()
        self._metrics.running.dec()
        self._metrics.run_s.observe(took_s)
        self._typical_s += 0.05 * (took_s - self._typical_s)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
