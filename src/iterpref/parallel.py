"""(function, items) → results as they finish, on this machine's processes or on a Ray cluster; and shards of a run.

The only file that imports Ray. A worker that dies takes no work with it: its item is given to another one. The function
must end in the same records when it is run again, as every stage here does.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from iterpref.errors import ConfigError, IterPrefError

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
        return shards_folder(run) / f"{self.number:03d}-of-{self.count:03d}"


def shards_folder(run: Path) -> Path:
    return run / "shards"


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
    try:
        import ray
        from ray.exceptions import RayError, RayTaskError
    except ImportError:
        raise ConfigError("parallel.backend is ray, and Ray is not installed; pip install 'iterpref[ray]'") from None
    if not ray.is_initialized():
        ray.init(address="auto", log_to_driver=False)
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


def _gave_up(items: int) -> IterPrefError:
    return IterPrefError(
        f"parallel: workers died {TRIES} times with {items} parts of the work undone (out of memory, killed?); what is "
        "finished is stored: use fewer workers and run the same command again"
    )
