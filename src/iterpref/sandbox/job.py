"""What one execution is: a program, its tests, its limits; what a sandbox finds beside an Execution; many at once.

Equal jobs give equal executions, up to time.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Self

from pydantic import model_validator

from iterpref.records import Execution, Limits, Record, Style, Task, TestFile, fingerprint

_NAME_BYTES, _PATH_BYTES = 255, 1024  # of one part of a path, and of it all
ENGINE_VERSION = 7  # changes when the same job could get another verdict; part of every key


class Job(Record):
    """A program to run against tests; the sandbox makes an Execution of it.

    `program` is source text, written to `program_path`, with `prefix` before it. `tests`, `style` and `entry_point` are
    a task's: what is asked of it, how that is run, and the function that tests call. `limits` hold for each run, in
    seconds and bytes. `files` lie beside the program: its other modules, or data it reads. `stdin` is what the program
    can read in every style but `stdio`, whose cases bring their own. `seed` fixes `random` and, where it is imported,
    numpy. `reference` is a program known to be right: where time runs out, what it takes says how much a program needs.

    Raises:
        ValidationError: pydantic's; a path leaves the folder, or files are larger than `limits.file_bytes`.
    """

    program: str
    tests: tuple[TestFile, ...]
    style: Style
    entry_point: str | None = None
    prefix: str = ""
    program_path: str = "solution.py"
    files: tuple[TestFile, ...] = ()
    stdin: str = ""
    limits: Limits = Limits()
    seed: int = 0
    reference: str | None = None

    @classmethod
    def from_task(cls, task: Task, program: str, seed: int = 0) -> Self:
        """The job of running `program` against the task's tests under the task's limits."""
        return cls(
            program=program,
            tests=task.tests,
            style=task.style,
            entry_point=task.entry_point,
            prefix=task.prefix,
            program_path=task.program_path,
            limits=task.limits,
            seed=seed,
            reference=task.reference,
        )

    @model_validator(mode="after")
    def _paths_stay_inside(self) -> Self:
        for path in (self.program_path, *(file.path for file in (*self.tests, *self.files))):
            parts = PurePosixPath(path)
            if not parts.parts or parts.is_absolute() or ".." in parts.parts:
                raise ValueError(f"path {path!r:.300}: a relative path without '..' expected")
            if not _writable(path):
                raise ValueError(
                    f"path {path!r:.300}: names of at most {_NAME_BYTES} bytes, {_PATH_BYTES} in all, expected"
                )
        return self

    @model_validator(mode="after")
    def _files_fit(self) -> Self:
        """What can't be written beside the program must not look like a fault of the program's."""
        tests = self.tests if self.style in ("unittest", "pytest", "doctest") else ()
        if written := (*self.files, *tests):
            size = sum(len(file.content.encode("utf-8", "surrogatepass")) for file in written)
            if size > self.limits.file_bytes:
                raise ValueError(f"files: {size} bytes; limits.file_bytes allows {self.limits.file_bytes}")
            paths = {PurePosixPath(self.program_path), *(PurePosixPath(file.path) for file in written)}
            if inside := next((path for path in paths if not paths.isdisjoint(path.parents)), None):
                raise ValueError(f"files: {str(inside)!r:.300} lies in what is a file itself")
        return self

    @property
    def key(self) -> str:
        """Names this execution in the store. The reference is no part of it: it only says how patient to be."""
        return fingerprint([ENGINE_VERSION, self.model_dump(mode="json", exclude={"reference"})])


def _writable(path: str) -> bool:
    """Whether a file of this name can be made."""
    try:
        written = path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    longest = max(map(len, written.split(b"/")))
    return b"\0" not in written and longest <= _NAME_BYTES and len(written) <= _PATH_BYTES


@dataclass(frozen=True)
class Measured:
    """An execution, and which pairs of the program's lines ran one after the other in it.

    `problem` says why some are not seen; "" if they all are.
    """

    execution: Execution
    arcs: frozenset[tuple[int, int]]
    problem: str


@dataclass(frozen=True)
class ScriptRun:
    """How a script without tests ended.

    `status`: its exit code, or minus the signal that ended it. `limit`: the field of `Limits` that ended it, or "".
    Both streams are whole, up to `Limits.output_bytes`; a traceback is on `stderr`.
    """

    status: int
    limit: str
    stdout: str
    stderr: str
    wall_s: float
    cpu_s: float


@dataclass(frozen=True)
class CallResults:
    """What a program's calls returned, decoded, in order; `problem` says why there is nothing."""

    values: tuple[Any, ...] = ()
    cpu_s: float = 0.0
    problem: str = ""


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
