"""`Sandbox`: jobs in, Executions out, over a pool of zygote processes.

A failing program is data; a broken worker is replaced and the job run again, and only then is the verdict
`sandbox_error`, which says nothing about the program. Not here: the workers (pool.py), how a run is isolated
(rung.py) or judged (calls.py, reported_tests.py, script.py).
"""

import os
import secrets
import threading
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.machinery import PathFinder
from types import TracebackType
from typing import Any, Literal, Self

from iterpref.errors import RecordError, SandboxError
from iterpref.records import Execution, Isolation, TestOutcome

from .grading.calls import Answers, judge_calls, read_answers
from .grading.control import confirm, flaky
from .grading.reported_tests import judge_tests
from .grading.script import judge_script
from .inside.values.texts import shorten
from .job import Job
from .reading import plan_tests, required_tests
from .reading.plan import Unliftable
from .workers.ladder import RUNGS, below, climb, stamps
from .workers.pool import ATTEMPTS, Pool
from .workers.worker import Worker, import_path

__all__ = ["RUNGS", "Sandbox"]


class Sandbox:
    """Runs untrusted programs. A context manager; `run` may be called from several threads at once.

    Args:
        workers: Zygote processes, hence runs at a time; the CPUs this process may use by default.
        preload: Modules imported once per worker, for programs that import them.
        isolation: A rung, or `auto`: the best this machine allows.
        min_isolation: Refuse to start below this rung; by default below `landlock`, unless `isolation` names a rung. At
            `rlimits` programs can read your files and use the network, and every Execution says so.
        hash_seed: Of Python inside; another one shows programs that depend on the order of sets.
        runs_per_worker: A worker is replaced by a fresh one after so many.

    Raises:
        SandboxError: The rung reached is below `min_isolation`, with what blocks a higher one.
    """

    def __init__(
        self,
        workers: int | None = None,
        preload: Sequence[str] = (),
        isolation: Isolation | Literal["auto"] = "auto",
        min_isolation: Isolation | None = None,
        hash_seed: int = 0,
        runs_per_worker: int = 5000,
    ) -> None:
        if workers is not None and workers < 1:
            raise SandboxError(f"sandbox: got workers={workers}, expected at least 1")
        affinity = getattr(os, "sched_getaffinity", None)
        self.workers = workers or (len(affinity(0)) if affinity else os.cpu_count() or 1)
        self._preload = tuple(preload)
        self._hash_seed = hash_seed
        self._twins: list[Sandbox] = []
        self._lock = threading.Lock()
        first, self.isolation, refusals = climb(isolation, self._preload, hash_seed)
        self.pool = Pool(first, self.workers, self._start, runs_per_worker)
        self.warnings = stamps(self.isolation, refusals)
        min_isolation = min_isolation or ("landlock" if isolation == "auto" else self.isolation)
        if below(self.isolation, min_isolation):
            self.close()
            raise SandboxError(
                f"sandbox: got isolation {self.isolation!r}, expected at least {min_isolation!r}; "
                + ("; ".join(refusals) or f"isolation={isolation!r} was asked for")
                + (". min_isolation='rlimits' runs without isolation" if self.isolation == "rlimits" else "")
            )
        for text in self.warnings:
            warnings.warn(text, RuntimeWarning, stacklevel=2)

    def run(self, job: Job, repeat: int = 1) -> Execution:
        """Run one job and judge it.

        Args:
            repeat: Run it so many times, each under another hash seed, until two verdicts differ; then the verdict is
                `unverified` and the error type `Flaky`.

        Raises:
            RecordError: The job's test files can't be read.
            SandboxError: The sandbox is closed, or the style needs a tool that isn't installed.
        """
        found = self._run_once(job)
        for number in range(1, repeat):
            again = self._twin(number).run(job)
            if again.verdict != found.verdict:
                return again if again.verdict == "sandbox_error" else flaky(found, again, number + 1)
        return found

    def _run_once(self, job: Job) -> Execution:
        if job.style == "stdio":
            return self._run_stdio(job)
        try:
            plan = plan_tests.plan(job)
        except Unliftable:
            return self._run_in_process(job)
        except SyntaxError as error:
            return self._unreadable(job, error)
        request = self._request(job, "calls") | {"calls": plan.wire}
        raw = self.pool.run(request, job.stdin)
        if isinstance(raw, str):
            return self._tool_failure(raw)
        return self._stamp(judge_calls(raw, request["nonce"], plan, self.isolation))

    def answers(self, job: Job) -> Answers:
        """The results of the calls of a `calls` job, not judged: how the outputs of a reference are had.

        Raises:
            RecordError: The job's tests are not call tables.
            SandboxError: The sandbox is closed or broken.
        """
        try:
            plan = plan_tests.plan(job)
        except (Unliftable, SyntaxError) as error:
            raise RecordError(f"{job.tests[0].path}: no call table ({error}); answers need style calls") from None
        request = self._request(job, "calls") | {"calls": plan.wire}
        raw = self.pool.run(request, job.stdin)
        if isinstance(raw, str):
            raise SandboxError(f"sandbox: failed {ATTEMPTS} times: {shorten(raw, 1000)}")
        return read_answers(raw, request["nonce"], plan)

    def run_many(self, jobs: Iterable[Job], repeat: int = 1) -> Iterator[Execution]:
        """Executions in the order of the jobs, as they finish; jobs are drawn as workers become free."""
        pending: deque[Future[Execution]] = deque()
        with ThreadPoolExecutor(self.workers, thread_name_prefix="sandbox") as threads:
            try:
                for job in jobs:
                    pending.append(threads.submit(self.run, job, repeat))
                    if len(pending) >= 4 * self.workers:
                        yield pending.popleft().result()
                while pending:
                    yield pending.popleft().result()
            finally:
                for future in pending:
                    future.cancel()

    def close(self) -> None:
        """End all workers and whatever they run."""
        with self._lock:
            self.pool.close()
            twins, self._twins = self._twins, []
        for twin in twins:
            twin.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _request(self, job: Job, mode: str) -> dict[str, Any]:
        program = f"{job.prefix}\n{job.program}" if job.prefix and job.program else job.prefix or job.program
        return {
            "mode": mode,
            "nonce": secrets.token_hex(8),
            "program": job.program,
            "prefix": job.prefix,
            "program_path": job.program_path,
            "files": {job.program_path: program, **{file.path: file.content for file in job.files}},
            "entry_point": job.entry_point,
            "seed": job.seed,
            "limits": job.limits.model_dump(),
        }

    def _run_in_process(self, job: Job) -> Execution:
        try:
            required = required_tests.required_tests(job)
        except SyntaxError as error:
            return self._unreadable(job, error)
        if job.style == "pytest" and PathFinder.find_spec("pytest", import_path()) is None:
            raise SandboxError("style pytest: pytest is not installed beside iterpref; pip install pytest")
        request = self._request(job, job.style)
        request["entry_point"] = job.entry_point or (required_tests.checked_name(job) if job.style == "check" else None)
        request["tests"] = [[test.path, test.content] for test in job.tests]
        if job.style in ("unittest", "pytest", "doctest"):
            request["files"] |= {test.path: test.content for test in job.tests}
        raw = self.pool.run(request, job.stdin)
        if isinstance(raw, str):
            return self._tool_failure(raw)
        may_skip = any("skip" in test.content.lower() for test in job.tests)
        found = judge_tests(raw, request["nonce"], required, self.isolation, may_skip)
        if found.passed:
            control = request | {"nonce": secrets.token_hex(8), "control": secrets.token_hex(8)}
            raw = self.pool.run(control, job.stdin)
            if not isinstance(raw, str):
                neutral, asserting = required_tests.can_not_fail(job), required_tests.asserting(job)
                found = confirm(found, raw, control["nonce"], control["control"], neutral, asserting)
        return self._stamp(found)

    def _run_stdio(self, job: Job) -> Execution:
        """One process a case; the limits hold for each."""
        outcomes: list[TestOutcome] = []
        first: Execution | None = None
        last: Execution | None = None
        wall_s = cpu_s = 0.0
        for name, stdin, stdout in required_tests.stdio_cases(job):
            if last is not None and last.verdict == "timeout":
                outcomes.append(TestOutcome(name=name, verdict="not_run"))
                continue
            request = self._request(job, "script")
            raw = self.pool.run(request, stdin)
            if isinstance(raw, str):
                return self._tool_failure(raw)
            last = judge_script(raw, request["nonce"], name, stdin, stdout, self.isolation)
            outcomes += last.tests
            wall_s, cpu_s = wall_s + last.wall_s, cpu_s + last.cpu_s
            first = first or (None if last.passed else last)
        shown = first or last
        if shown is None:
            raise RecordError("style stdio: no case found; one object with stdin and stdout a line expected")
        summed = {"tests": tuple(outcomes), "wall_s": round(wall_s, 6), "cpu_s": round(cpu_s, 6)}
        return self._stamp(shown.model_copy(update=summed))

    def _start(self) -> Worker:
        return Worker(self.isolation, self._preload, self._hash_seed)

    def _twin(self, number: int) -> "Sandbox":
        """The same sandbox under another hash seed, made when first needed."""
        with self._lock:
            if self.pool.closed:
                raise SandboxError("sandbox: used after close(); make a new one")
            while len(self._twins) < number:
                seed = self._hash_seed + len(self._twins) + 1
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", RuntimeWarning)  # said once, by this one
                    self._twins.append(Sandbox(self.workers, self._preload, self.isolation, None, seed))
            return self._twins[number - 1]

    def _stamp(self, found: Execution) -> Execution:
        return found.model_copy(update={"warnings": (*found.warnings, *self.warnings)}) if self.warnings else found

    def _tool_failure(self, reason: str) -> Execution:
        text = f"The sandbox failed {ATTEMPTS} times: {shorten(reason, 1000)}"
        return self._stamp(
            Execution(verdict="sandbox_error", trust="in_process", isolation=self.isolation, phase="none", error=text)
        )

    def _unreadable(self, job: Job, error: SyntaxError) -> Execution:
        text = f"SyntaxError: {error.msg} ({error.filename or job.tests[0].path} line {error.lineno})"
        return self._stamp(
            Execution(
                verdict="error",
                trust="in_process",
                isolation=self.isolation,
                error_type="SyntaxError",
                error=text,
            )
        )
