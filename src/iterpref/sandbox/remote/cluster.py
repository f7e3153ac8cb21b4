"""A sandbox on each worker of a Ray cluster, behind the one method that stages use: job → Execution.

The verdict of a job doesn't depend on the machine that reaches it, and a worker that dies gives its job to another one.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Self

from iterpref.parallel import RayWorkers
from iterpref.records import Isolation

from .. import Execution, Job, Sandbox
from .service import ServedSandbox


class RemoteSandbox:
    """Runs jobs on the workers of a cluster; `run` may be called from as many threads as there are workers.

    Args:
        make: Opens the sandbox of one worker, with one process of its own; picklable.
        workers: Sandboxes, each on one CPU of the cluster.
    """

    def __init__(self, make: Callable[[], Sandbox | ServedSandbox], workers: int) -> None:
        self.workers = workers
        self._remote = RayWorkers(make, workers)

    @cached_property
    def isolation(self) -> Isolation:
        """The rung of the first worker asked; each Execution names its own."""
        rung: Isolation = self._remote.call("isolation")
        return rung

    def run(self, job: Job) -> Execution:
        """Run one job somewhere, and wait for it."""
        execution: Execution = self._remote.call("run", job)
        return execution

    def close(self) -> None:
        self._remote.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
