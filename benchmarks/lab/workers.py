"""Jobs on processes, one a core: each imports torch once and runs many. A job that fails, or dies, fails alone.

Jobs come in groups: the first of a group is run alone before the others, which need what it leaves.
"""

import gc
import os
import signal
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol

from iterpref.errors import IterPrefError


class Job(Protocol):
    """What a worker runs; picklable, as is what `run` returns."""

    def run(self) -> Any: ...


@dataclass(frozen=True)
class Failure:
    """Why a job has no result; `details` is for people who look for the cause."""

    why: str
    details: str = ""


@dataclass
class Group:
    """`first` comes before `then`, which is asked for with its result and says what else there is to do."""

    first: Job | None
    then: Callable[[Any], Sequence[Job]]


JOBS_PER_PROCESS = 60  # then a fresh one takes its place, with what libraries had not given back
OnDone = Callable[[Job, Any], None]


def run_jobs(groups: Iterable[Group], processes: int, on_done: OnDone) -> None:
    """Run all jobs; `on_done` is told each with its result, or a `Failure`. A group begun is finished first."""
    queue = _Queue(deque(groups))
    workers = [_Worker() for _ in range(processes)]
    try:
        while True:
            for worker in workers:
                if worker.job is None and (job := queue.next()) is not None:
                    worker.start(job)
            busy = {worker.results: worker for worker in workers if worker.job is not None}
            if not busy:
                return
            for ready in wait(list(busy)):
                worker = busy[ready]  # type: ignore[index]
                job, result = worker.finish()
                on_done(job, result)
                queue.done(job, result)
    finally:
        for worker in workers:
            worker.end()


@dataclass
class _Queue:
    groups: deque[Group]
    open: deque[Job] = field(default_factory=deque)
    begun: dict[int, Group] = field(default_factory=dict)
    """By id of its first job, which is being run."""

    def next(self) -> Job | None:
        while not self.open and self.groups:
            group = self.groups.popleft()
            if group.first is not None:
                self.begun[id(group.first)] = group
                return group.first
            self.open.extend(group.then(None))
        return self.open.popleft() if self.open else None

    def done(self, job: Job, result: Any) -> None:
        group = self.begun.pop(id(job), None)
        if group is not None:
            self.open.extend(group.then(result))


class _Worker:
    """A process that runs one job after another; a new one takes the place of one that died."""

    def __init__(self) -> None:
        self.job: Job | None = None
        self._spawn()

    def _spawn(self) -> None:
        context = get_context("spawn")
        self.results, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, os.getpid()))
        self._process.start()
        theirs.close()  # so that the pipe ends with the process
        self._jobs = 0

    def start(self, job: Job) -> None:
        if self._jobs == JOBS_PER_PROCESS:
            self.end()
            self._spawn()
        try:
            self.results.send(job)
        except OSError:  # it died while it waited
            self.end()
            self._spawn()
            self.results.send(job)
        self._jobs += 1
        self.job = job

    def finish(self) -> tuple[Job, Any]:
        """The job that was run, and its result."""
        job, self.job = self.job, None
        assert job is not None
        try:
            return job, self.results.recv()
        except (EOFError, ConnectionResetError):
            self._process.join()
            code = self._process.exitcode or 0
            how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            self._spawn()
            return job, Failure(f"its process died ({how}); was there not enough memory?")

    def end(self) -> None:
        """Stop it, whatever it does; one that waits ends by itself."""
        self.results.close()
        if self.job is not None:
            self._process.terminate()
        self._process.join()


def _work(jobs: Connection, parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which ends this process
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    while True:
        try:
            job = jobs.recv()
        except EOFError:
            return
        try:
            result = job.run()
        except IterPrefError as error:
            result = Failure(str(error), traceback.format_exc())
        except Exception as error:
            result = Failure(f"{type(error).__name__}: {error}", traceback.format_exc())
        jobs.send(result)
        gc.collect()  # trainers hold themselves in circles, and a model with them


def _end_with(parent: int) -> None:
    """A killed grid leaves no process that goes on with its cells."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
