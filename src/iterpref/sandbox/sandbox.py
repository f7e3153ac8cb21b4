"""`Sandbox`: jobs in, Executions out, over a pool of zygote processes.

A failing program is data; a broken worker is replaced and the job run again, and only then is the verdict
`sandbox_error`, which says nothing about the program. The way of a job: `reading` takes its tests apart, `workers` run
it, `grading` says what its end amounts to. Not here: what runs beside the program (`inside`).
"""

import threading
import warnings
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from importlib.machinery import PathFinder
from typing import Self

from iterpref.errors import RecordError, SandboxError
from iterpref.records import Execution, Isolation, Limits, TestOutcome

from .grading.calls import grade_calls, read_results
from .grading.control import confirm, flaky
from .grading.reported_tests import grade_tests
from .grading.script import grade_script
from .grading.script_end import script_end
from .job import CallResults, Job, Measured, ScriptRun, run_many
from .reading import required_tests
from .reading.plan import Unliftable
from .reading.plan_tests import plan_tests
from .workers import requests
from .workers.crowd import RUNS, cpus
from .workers.measuring_pool import MeasuringPool
from .workers.pool import LOWEST_ISOLATING, Pool, WorkersFailed, climb, stamps
from .workers.worker import Worker, import_path

REFERENCE_FACTOR = 4.0  # times what a right program took, a program may take: EvalPlus's factor
PATIENCE = 10.0  # times its limits, a reference may take: it is right, and the machine may be busy


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

    place = "this machine"

    def __init__(
        self,
        workers: int | None = None,
        preload: Sequence[str] = (),
        isolation: Isolation = "auto",
        min_isolation: Isolation | None = None,
        hash_seed: int = 0,
        runs_per_worker: int = 5000,
    ) -> None:
        if workers is not None and workers < 1:
            raise SandboxError(f"sandbox: got workers={workers}, expected at least 1")
        self.workers = workers or cpus()
        self._preload = tuple(preload)
        self._hash_seed = hash_seed
        self._twins: list[Sandbox] = []
        self._lock = threading.Lock()
        first, self.isolation, refusals = climb(isolation, self._preload, hash_seed)
        start = partial(Worker, self.isolation, self._preload, hash_seed)
        self.pool = Pool(first, self.workers, start, runs_per_worker)
        minimum = min_isolation or (LOWEST_ISOLATING if isolation == "auto" else self.isolation)
        try:
            self.warnings = stamps(self.isolation, minimum, refusals)
        except SandboxError:
            self.close()
            raise
        for text in self.warnings:
            warnings.warn(text, RuntimeWarning, stacklevel=2)

    def run(self, job: Job, repeat: int = 1, retry_timeout: bool = True) -> Execution:
        """Run one job and say what happened.

        Args:
            repeat: Run it so many times, each under another hash seed, until two verdicts differ; then the verdict is
                `unverified` and the error type `Flaky`.
            retry_timeout: Where time ran out, run it once more beside few others, and with at least four times what
                the job's reference then takes; the second run counts.

        Raises:
            RecordError: The job's test files can't be read.
            SandboxError: The sandbox is closed, or the style needs a tool that isn't installed.
        """
        found = self._run_in_time(job) if retry_timeout else self._run_beside_others(job)
        for number in range(1, repeat):
            again = self.under(number).run(job, retry_timeout=retry_timeout)
            if again.verdict != found.verdict:
                return again if again.verdict == "sandbox_error" else flaky(found, again, number + 1)
        return found

    def measure(self, job: Job) -> Measured:
        """Run a job and say which lines of the program ran, in every style where they really run.

        Slower than `run`, whose errors it raises; the limits are the caller's to widen.
        """
        pool = MeasuringPool(self.pool)
        with RUNS.place():
            execution = self._run_once(job, pool)
        return Measured(execution, frozenset(pool.arcs), pool.problem)

    def run_script(self, job: Job) -> ScriptRun:
        """Run a job's program with its `stdin`, `files` and limits, and without its tests.

        Raises:
            SandboxError: The sandbox is closed or broken, which says nothing about the program.
        """
        request = requests.script_request(job)
        try:
            with RUNS.place():
                raw = self.pool.run(request, job.stdin)
        except WorkersFailed as error:
            raise SandboxError(f"sandbox: {error}") from None
        status, said = script_end(raw, request["nonce"])
        printed, errors = (stream.decode("utf-8", errors="replace") for stream in (raw.stdout, raw.stderr))
        return ScriptRun(status, raw.limit, printed, errors + said, round(raw.wall_s, 6), round(raw.cpu_s, 6))

    def _run_beside_others(self, job: Job) -> Execution:
        with RUNS.place():
            return self._run_once(job, self.pool)

    def _run_in_time(self, job: Job) -> Execution:
        """One run, and where time ran out another one: that the machine was busy is no verdict on a program."""
        found = self._run_beside_others(job)
        if found.verdict != "timeout":
            return found
        with RUNS.place(quiet=True):
            return self._run_once(job.model_copy(update={"limits": self._limits_by_reference(job)}), self.pool)

    def _limits_by_reference(self, job: Job) -> Limits:
        """The job's limits, or more, by what its reference takes on this machine now."""
        own, reference = job.limits, job.reference
        if reference is None:
            return own
        patient = own.at_least(PATIENCE * own.cpu_s, PATIENCE * own.wall_s)
        if reference.strip() == job.program.strip():
            return patient
        measured = self._run_once(job.model_copy(update={"program": reference, "limits": patient}), self.pool)
        return _allowing(own, measured) if measured.passed else own

    def _run_once(self, job: Job, pool: Pool | MeasuringPool) -> Execution:
        not_run = partial(Execution, trust="in_process", isolation=self.isolation)
        try:
            found = self._run_stdio(job, pool) if job.style == "stdio" else self._run_tests(job, pool)
        except WorkersFailed as error:
            found = not_run(verdict="sandbox_error", phase="none", error=f"The sandbox {error}")
        except SyntaxError as error:
            text = f"SyntaxError: {error.msg} ({error.filename or job.tests[0].path} line {error.lineno})"
            found = not_run(verdict="error", error_type="SyntaxError", error=text)
        return found.model_copy(update={"warnings": (*found.warnings, *self.warnings)}) if self.warnings else found

    def _run_tests(self, job: Job, pool: Pool | MeasuringPool) -> Execution:
        try:
            plan = plan_tests(job)
        except Unliftable:
            return self._run_in_process(job, pool)
        request = requests.calls_request(job, plan.wire)
        found = grade_calls(pool.run(request, job.stdin), request["nonce"], plan, self.isolation)
        return self._run_in_process(job, pool) if found is None else found

    def answers(self, job: Job) -> CallResults:
        """The results of the calls of a `calls` job, not graded: how the outputs of a reference are had.

        Raises:
            RecordError: The job's tests are not call tables.
            SandboxError: The sandbox is closed or broken.
        """
        try:
            plan = plan_tests(job)
        except (Unliftable, SyntaxError) as error:
            raise RecordError(f"{job.tests[0].path}: no call table ({error}); answers need style calls") from None
        request = requests.calls_request(job, plan.wire)
        try:
            with RUNS.place():
                raw = self.pool.run(request, job.stdin)
        except WorkersFailed as error:
            raise SandboxError(f"sandbox: {error}") from None
        values, problem = read_results(raw, request["nonce"], plan)
        return CallResults(values, raw.cpu_s, problem)

    def run_many(self, jobs: Iterable[Job], repeat: int = 1) -> Iterator[Execution]:
        """Executions in the order of the jobs, as they finish; jobs are drawn as workers become free."""
        return run_many(self.run, jobs, repeat, self.workers)

    def close(self) -> None:
        """End all workers and whatever they run."""
        with self._lock:
            self.pool.close()
            twins, self._twins = self._twins, []
        for twin in twins:
            twin.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run_in_process(self, job: Job, pool: Pool | MeasuringPool) -> Execution:
        required = required_tests.required_tests(job)
        if job.style == "pytest" and PathFinder.find_spec("pytest", import_path()) is None:
            raise SandboxError("style pytest: pytest is not installed beside iterpref; pip install pytest")
        checked = required_tests.checked_name(job) if job.style == "check" else None
        request = requests.tests_request(job, job.entry_point or checked)
        may_skip = any("skip" in test.content.lower() for test in job.tests)
        raw = pool.run(request, job.stdin)
        found = grade_tests(raw, request["nonce"], required, self.isolation, may_skip)
        if not found.passed:
            return found
        control = requests.control_request(request, _allowing(job.limits, found))
        try:
            raw = pool.run(control, job.stdin)
        except WorkersFailed:
            return found  # a pass stays what it is where no worker could run its negative control
        neutral, asserting = required_tests.can_not_fail(job), required_tests.asserting(job)
        return confirm(found, raw, control["nonce"], control["control"], neutral, asserting)

    def _run_stdio(self, job: Job, pool: Pool | MeasuringPool) -> Execution:
        """One process a case; the limits hold for each."""
        outcomes: list[TestOutcome] = []
        first: Execution | None = None
        last: Execution | None = None
        wall_s = cpu_s = 0.0
        packages: set[str] = set()
        for case in required_tests.stdio_cases(job):
            if last is not None and last.verdict == "timeout":
                outcomes.append(TestOutcome(name=case.name, verdict="not_run"))
                continue
            request = requests.script_request(job)
            last = grade_script(pool.run(request, case.stdin), request["nonce"], case, self.isolation)
            outcomes += last.tests
            packages.update(last.packages)
            wall_s, cpu_s = wall_s + last.wall_s, cpu_s + last.cpu_s
            first = first or (None if last.passed else last)
        shown = first or last
        if shown is None:
            raise RecordError("style stdio: no case found; one object with stdin and stdout a line expected")
        summed = {"tests": tuple(outcomes), "wall_s": round(wall_s, 6), "cpu_s": round(cpu_s, 6)}
        summed["packages"] = tuple(sorted(packages))
        return shown.model_copy(update=summed)

    def under(self, number: int) -> "Sandbox":
        """The same sandbox under the hash seed that is so much higher; made when first needed, closed with this one."""
        if not number:
            return self
        with self._lock:
            if self.pool.closed:
                raise SandboxError("sandbox: used after close(); make a new one")
            while len(self._twins) < number:
                seed = self._hash_seed + len(self._twins) + 1
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", RuntimeWarning)  # said once, by this one
                    self._twins.append(Sandbox(self.workers, self._preload, self.isolation, None, seed))
            return self._twins[number - 1]


def _allowing(limits: Limits, measured: Execution) -> Limits:
    """Limits that leave a program ample time to do what the measured run did."""
    return limits.at_least(REFERENCE_FACTOR * measured.cpu_s, REFERENCE_FACTOR * measured.wall_s)
