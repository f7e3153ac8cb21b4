"""(function, items) → results as they finish, on this machine's processes or on a Ray cluster; shards of a run; and
objects that live on the workers of a cluster (`RayWorkers`).

The only file that imports Ray. A worker that dies takes no work with it: its item is given to another one. The function
must end in the same records when it is run again, as every stage here does.
"""

import hashlib
import queue
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from iterpref.errors import ConfigError, IterPrefError
from iterpref.run_folder import RunFolder

T = TypeVar("T")
R = TypeVar("R")
Backend = Literal["serial", "processes", "ray"]
TRIES = 4  # of one item whose workers die


@dataclass(frozen=True)
class Shard:
    """Part `number` (from 1) of `count` of a run's tasks; which one a task belongs to follows from its id alone."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """`3/16`.

        Raises:
            ConfigError: It is no part of a whole.
        """
        found = re.fullmatch(r"(\d+)/(\d+)", text)
        shard = cls(*map(int, found.groups())) if found else None
        if shard is None or not 1 <= shard.number <= shard.count:
            raise ConfigError(f"--shard {text}: expected part/parts, counted from 1, for example 3/16")
        return shard

    def holds(self, task_id: str) -> bool:
        digest = hashlib.sha256(task_id.encode()).digest()
        return int.from_bytes(digest[:8]) % self.count == self.number - 1

    def folder(self, run: Path) -> Path:
        """The shard's own run folder inside the run's."""
        return RunFolder(run).shards / f"{self.number:03d}-of-{self.count:03d}"


def run_many(function: Callable[[T], R], items: Sequence[T], backend: Backend, workers: int) -> Iterator[R]:
    """Results in the order in which they finish; `function` and items must be picklable.

    Raises:
        IterPrefError: The workers of one item died again and again. What `function` itself raises passes through.
    """
    if backend == "serial":
        yield from map(function, items)
    elif backend == "processes":
        yield from _on_processes(function, items, workers)
    else:
        yield from _on_ray(function, items, workers)


def _on_processes(function: Callable[[T], R], items: Sequence[T], workers: int) -> Iterator[R]:
    left = dict(enumerate(items))
    for _ in range(TRIES):
        # A dead worker breaks the whole pool: what it left undone goes to a new one.
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            futures = {pool.submit(function, item): number for number, item in left.items()}
            try:
                for future in as_completed(futures):
                    result = future.result()
                    del left[futures[future]]
                    yield result
            except BrokenProcessPool:
                continue
        return
    raise _gave_up(len(left))


def _on_ray(function: Callable[[T], R], items: Sequence[T], workers: int) -> Iterator[R]:
    ray = _ray()
    from ray.exceptions import RayError, RayTaskError

    remote = ray.remote(num_cpus=1, max_retries=0)(function)
    waiting = [(number, 1) for number in range(len(items))]
    running: dict[Any, tuple[int, int]] = {}
    while waiting or running:
        while waiting and len(running) < workers:
            number, tries = waiting.pop(0)
            running[remote.remote(items[number])] = (number, tries)
        [done], _ = ray.wait(list(running), num_returns=1)
        number, tries = running.pop(done)
        try:
            yield ray.get(done)
        except RayTaskError as error:
            raise error.as_instanceof_cause() from None
        except RayError:  # the worker or its node died
            if tries == TRIES:
                raise _gave_up(1) from None
            waiting.append((number, tries + 1))


class RayWorkers:
    """Objects of one kind on the CPUs of a Ray cluster, each doing one call at a time; `call` may be used by threads.

    A worker that dies, alone or with its node, is made again where there is room, and its call goes to another one:
    calls must end in the same result when they are repeated.

    Args:
        make: Makes the object, on the worker; picklable.
        count: Workers wanted; those that the cluster has no room for wait until it has.
        start_s: Most seconds without any worker.
    """

    def __init__(self, make: Callable[[], Any], count: int, start_s: float = 300.0) -> None:
        self._ray = _ray()
        self._make = make
        self._start_s = start_s
        self._idle: queue.Queue[Any] = queue.Queue()
        self._actors: set[Any] = set()
        self._lock = threading.Lock()
        self._closed = False
        for _ in range(count):
            self._start()

    def call(self, name: str, *values: Any) -> Any:
        """Call a method of some worker's object, or read an attribute of it.

        Raises:
            IterPrefError: No worker could be started, or several died over this very call. What the method itself
                raises passes through.
        """
        from ray.exceptions import RayError, RayTaskError

        for _ in range(TRIES):
            actor = self._next()
            try:
                result = self._ray.get(actor.call.remote(name, values))
            except RayTaskError as error:
                self._idle.put(actor)
                raise error.as_instanceof_cause() from None
            except RayError:
                self._forget(actor)
                self._start()
                continue
            self._idle.put(actor)
            return result
        raise _gave_up(1)

    def close(self) -> None:
        """Stop the workers; what they do now is lost."""
        self._closed = True
        with self._lock:
            for actor in self._actors:
                self._ray.kill(actor)
            self._actors.clear()

    def _next(self) -> Any:
        try:
            return self._idle.get(timeout=self._start_s)
        except queue.Empty:
            raise IterPrefError(
                f"parallel: no worker of the cluster was free for {self._start_s:.0f} s; look at `ray status`, or use "
                "fewer workers"
            ) from None

    def _start(self) -> None:
        """Ask for a worker, and offer it when it is there: a full cluster must not hold up those that run."""
        actor = self._ray.remote(num_cpus=1, max_restarts=0)(_Held).remote(self._make)
        with self._lock:
            self._actors.add(actor)
        threading.Thread(target=self._offer, args=(actor,), daemon=True).start()

    def _offer(self, actor: Any) -> None:
        from ray.exceptions import RayError

        try:
            self._ray.get(actor.ready.remote())
        except RayError:
            self._forget(actor)
            if not self._closed:
                time.sleep(1.0)
                self._start()
        else:
            self._idle.put(actor)

    def _forget(self, actor: Any) -> None:
        with self._lock:
            self._actors.discard(actor)


class _Held:
    """What a Ray actor is made of."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._object = make()

    def ready(self) -> None:
        """Answers when the object is made."""

    def call(self, name: str, values: tuple[Any, ...]) -> Any:
        found = getattr(self._object, name)
        return found(*values) if callable(found) else found


def _ray() -> Any:
    """Ray, connected to the running cluster.

    Raises:
        ConfigError: It is not installed.
    """
    try:
        import ray
    except ImportError:
        raise ConfigError("parallel.backend is ray, and Ray is not installed; pip install 'iterpref[ray]'") from None
    if not ray.is_initialized():
        ray.init(address="auto", log_to_driver=False)
    return ray


def _gave_up(items: int) -> IterPrefError:
    return IterPrefError(
        f"parallel: workers died {TRIES} times with {items} parts of the work undone (out of memory, killed?); what is "
        "finished is stored: use fewer workers and run the same command again"
    )
