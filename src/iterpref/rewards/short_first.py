"""Runs on a sandbox's workers, the short ones first: a few endless programs keep no others from their verdict.

Each job runs with an eighth of its time. What needs more runs again with all of it, behind everything that was asked
for before; so it costs an eighth more, and its verdict is that of its own limits.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

from iterpref.records import Execution, Limits
from iterpref.sandbox import Job

from .metrics import RewardMetrics

FIRST = 1 / 8


class RunsOnce(Protocol):
    """What a reward needs of a sandbox, here or elsewhere."""

    workers: int

    def run(self, job: Job, *, retry_timeout: bool) -> Execution: ...


class ShortFirst:
    """`submit` from any thread; a future that is cancelled isn't run any more."""

    def __init__(self, sandbox: RunsOnce, threads: int, metrics: RewardMetrics) -> None:
        self._sandbox, self._metrics = sandbox, metrics
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="reward")

    def submit(self, job: Job) -> Future[Execution]:
        answer: Future[Execution] = Future()
        self._threads.submit(self._guarded, self._first, answer, job, time.monotonic())
        return answer

    def _guarded(self, run: Callable[..., None], answer: Future[Execution], job: Job, asked: float) -> None:
        if answer.cancelled():
            return
        self._metrics.add(queue_s=time.monotonic() - asked)
        try:
            run(answer, job)
        except BaseException as error:  # whoever waits gets it
            _give(answer, error)

    def _first(self, answer: Future[Execution], job: Job) -> None:
        limits = job.limits
        short = limits.model_copy(update={"cpu_s": FIRST * limits.cpu_s, "wall_s": FIRST * limits.wall_s})
        execution = self._run(job.model_copy(update={"limits": short}))
        if execution.verdict == "timeout" or _cut_short(execution, short):
            self._metrics.add(second_runs=1)
            self._threads.submit(self._guarded, self._last, answer, job, time.monotonic())
        else:
            self._answer(answer, execution)

    def _last(self, answer: Future[Execution], job: Job) -> None:
        self._answer(answer, self._run(job))

    def _run(self, job: Job) -> Execution:
        execution = self._sandbox.run(job, retry_timeout=False)  # a third run would take the batch's time
        self._metrics.add(run_s=execution.wall_s)
        return execution

    def _answer(self, answer: Future[Execution], execution: Execution) -> None:
        self._metrics.ran(execution)
        _give(answer, execution)


def _cut_short(execution: Execution, limits: Limits) -> bool:
    """Whether time may have kept a test from its own outcome, while an earlier one gave the verdict."""
    used = max(execution.cpu_s / limits.cpu_s, execution.wall_s / limits.wall_s)
    return not execution.passed and used > 0.9


def _give(answer: Future[Execution], found: Execution | BaseException) -> None:
    """Unless nobody waits any more."""
    if not answer.set_running_or_notify_cancel():
        return
    if isinstance(found, BaseException):
        answer.set_exception(found)
    else:
        answer.set_result(found)
