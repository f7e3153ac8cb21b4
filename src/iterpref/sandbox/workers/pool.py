"""The workers of a sandbox, on the best rung that this machine reaches: broken and worn ones are replaced."""

import contextlib
import queue
import threading
from collections.abc import Callable, Sequence

from iterpref.errors import SandboxError

from ..inside.rungs.table import RUNGS
from ..inside.values.request import RunRequest
from ..inside.values.texts import shorten
from ..inside.worker.wire import RawRun
from .worker import RungRefused, Worker, WorkerBroken

LOWEST_ISOLATING = [name for name, rung in RUNGS.items() if not rung.warning][-1]
_ATTEMPTS = 3
_PROBE_EVERY = 500  # runs of a worker between two looks at its health


class WorkersFailed(Exception):
    """No worker could do a run, which says nothing about the program; the message ends with the last one's reason."""


class Pool:
    """`size` workers of one kind: `first`, which is started, and those that `start` makes when first needed, or in
    place of one that broke or has done `runs_per_worker`."""

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
        reason, given = "", _encoded(stdin)
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
                return worker.run(request, given)
            except BaseException as error:
                self._drop(worker)
                worker = None
                if not isinstance(error, WorkerBroken | RungRefused):
                    raise
                reason = str(error)
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


def _encoded(stdin: str) -> bytes:
    """Bytes that a text escaped are those bytes again; other lone surrogates are written as they are."""
    try:
        return stdin.encode("utf-8", errors="surrogateescape")
    except UnicodeEncodeError:
        return stdin.encode("utf-8", errors="surrogatepass")


def climb(wanted: str, preload: Sequence[str], hash_seed: int) -> tuple[Worker, str, list[str]]:
    """The first worker, the rung it reached, and why the higher ones were refused; `SandboxError` if all were, or if a
    worker is broken."""
    refusals: list[str] = []
    for rung in [rung for rung in RUNGS if wanted in ("auto", rung)]:
        try:
            return Worker(rung, preload, hash_seed), rung, refusals
        except RungRefused as error:
            refusals.append(f"{rung}: {error}")
        except WorkerBroken as error:
            raise SandboxError(f"sandbox: a worker on rung {rung!r} did not start: {error}") from error
    choices = ", ".join(("auto", *RUNGS))
    raise SandboxError("; ".join(refusals) or f"sandbox: got isolation {wanted!r}, expected one of {choices}")


def stamps(rung: str, minimum: str, refusals: Sequence[str]) -> tuple[str, ...]:
    """What every Execution of this rung must say of itself; `SandboxError` if it isolates less than `minimum`."""
    best_first, reasons, warning = list(RUNGS), "; ".join(refusals), RUNGS[rung].warning
    if minimum not in best_first:
        raise SandboxError(f"sandbox: got min_isolation {minimum!r}, expected one of {', '.join(best_first)}")
    if best_first.index(rung) > best_first.index(minimum):
        blocked = reasons or f"isolation={rung!r} was asked for"
        advice = f". min_isolation={rung!r} runs without isolation" if warning else ""
        raise SandboxError(f"sandbox: got isolation {rung!r}, expected at least {minimum!r}; {blocked}{advice}")
    return (warning + (f" ({reasons})" if reasons else ""),) if warning else ()
