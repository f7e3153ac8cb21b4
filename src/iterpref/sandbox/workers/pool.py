"""The workers of a sandbox: as many runs at a time as there are workers; broken and worn ones are replaced.

In: a run's request. Out: how it ended, as the zygote saw it. Not here: what is asked and judged (sandbox.py), one
worker (worker.py).
"""

import contextlib
import queue
import threading
from collections.abc import Callable

from iterpref.errors import SandboxError

from ..inside.values.request import RunRequest
from ..inside.values.texts import shorten
from ..inside.worker.wire import RawRun
from .worker import RungRefused, Worker, WorkerBroken

_ATTEMPTS = 3
_PROBE_EVERY = 500  # runs of a worker between two looks at its health


class WorkersFailed(Exception):
    """No worker could do a run, which says nothing about the program; the message ends with the last one's reason."""


class Pool:
    """Workers of one kind.

    Args:
        first: A started worker.
        size: Workers at a time; the others are started when first needed.
        start: Makes a further worker.
        runs_per_worker: A worker is replaced by a fresh one after so many.
    """

    def __init__(self, first: Worker, size: int, start: Callable[[], Worker], runs_per_worker: int) -> None:
        self.open = {first}
        self.closed = False
        self._start_worker = start
        self._runs_per_worker = runs_per_worker
        self._lock = threading.Lock()
        self._idle: queue.LifoQueue[Worker | None] = queue.LifoQueue()
        for _ in range(size - 1):
            self._idle.put(None)
        self._idle.put(first)

    def run(self, request: RunRequest, stdin: str) -> RawRun:
        """A run on some worker; a worker that fails is replaced and the run tried again.

        Raises:
            WorkersFailed: Three of them failed.
            SandboxError: The pool is closed.
        """
        reason = ""
        for _ in range(_ATTEMPTS):
            worker = self._idle.get()
            try:
                if self.closed:
                    raise SandboxError("sandbox: used after close(); make a new one")
                if worker is not None and worker.runs >= self._runs_per_worker:
                    self._drop(worker)
                    worker = None
                worker = worker or self._start()
                if worker.runs % _PROBE_EVERY == _PROBE_EVERY - 1:
                    worker.probe()
                return worker.run(request, stdin.encode("utf-8", errors="surrogateescape"))
            except (WorkerBroken, RungRefused) as error:
                reason = str(error)
                self._drop(worker)
                worker = None
            except BaseException:
                self._drop(worker)
                worker = None
                raise
            finally:
                self._idle.put(worker)
        raise WorkersFailed(f"failed {_ATTEMPTS} times: {shorten(reason, 1000)}")

    def close(self) -> None:
        """End all workers and whatever they run."""
        with self._lock:
            self.closed = True
            workers, self.open = self.open, set()
        for worker in workers:
            worker.close()

    def _start(self) -> Worker:
        worker = self._start_worker()
        with self._lock:
            self.open.add(worker)
        return worker

    def _drop(self, worker: Worker | None) -> None:
        if worker is not None:
            with self._lock:
                self.open.discard(worker)
            with contextlib.suppress(OSError):
                worker.close()
