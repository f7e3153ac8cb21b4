"""Many jobs over the workers of a sandbox, here or elsewhere."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from iterpref.records import Execution

from ..job import Job


def run_many(
    run: Callable[[Job, int], Execution], jobs: Iterable[Job], repeat: int, workers: int
) -> Iterator[Execution]:
    """`run(job, repeat)` of each job, in order, `workers` at a time; jobs are drawn as workers become free."""
    pending: deque[Future[Execution]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="sandbox") as threads:
        try:
            for job in jobs:
                pending.append(threads.submit(run, job, repeat))
                if len(pending) >= 4 * workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
