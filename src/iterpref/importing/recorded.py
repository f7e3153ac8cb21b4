"""Recorded debugging runs → Tasks and Trajectories, every version executed again here.

In: JSONL in the formats of `recorded_rows.py`. Out: tasks and trajectories in the store, and how far the recorded
verdicts were reproduced. What counts afterwards is the verdict reached here; a disagreement is listed, never hidden. A
killed import goes on where it stopped: executions are rows the moment they exist, and no finished one is repeated.
Not here: which version becomes chosen or rejected (`pairing`).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from iterpref.errors import RecordError
from iterpref.importing.recorded_rows import PREAMBLE, RecordedRun, Status, Version, parse_run, status_of
from iterpref.records import Attempt, Execution, Limits, Record, Task, Trajectory, fingerprint
from iterpref.rows import (
    DEFAULT_PART,
    DatasetPart,
    RefusedRows,
    SourceRow,
    count_lines,
    source_name,
    source_rows,
)
from iterpref.run_folder import import_note
from iterpref.sandbox import Job
from iterpref.sandbox.remote import AnySandbox
from iterpref.store import Store

BATCH = 64  # runs whose programs are executed together: enough to keep every worker busy


class Disagreement(Record):
    """A version whose verdict here is not the recorded one."""

    trajectory_id: str
    step: int
    recorded: Status
    here: Status
    why: str


class ImportSummary(Record):
    """What an import found.

    `pairs` counts each failing version before the first passing one, by the verdicts reached here: what pairing with
    `negatives: each` finds before its filters. `failed_tools` names trajectories that the sandbox could not execute.
    """

    versions: int
    agree: int
    trajectories: int
    pairs: int
    disagreements: tuple[Disagreement, ...] = ()
    failed_tools: tuple[str, ...] = ()


def import_recorded(
    source: str | Path,
    store: Store,
    sandbox: AnySandbox,
    limits: Limits | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    part: DatasetPart = DEFAULT_PART,
) -> ImportSummary:
    """Import recorded runs, executing every version; the summary is also the note `import:<source>`.

    `on_progress` is told how many rows are done, of how many.

    `limits` are those of every execution; default: those of the task (four CPU seconds for recorded runs).

    Raises:
        RecordError: The source can't be read, or some rows can't be used; all others are imported.
    """
    name = source_name(source)
    refused = RefusedRows(name)
    importer = _Importer(store, sandbox, limits, refused)
    done, total = 0, count_lines(Path(source)) if Path(source).is_file() else 0
    rows = source_rows(str(source), part, refused)
    while batch := list(islice(rows, BATCH)):
        importer.add(batch)
        if on_progress:
            done += len(batch)
            on_progress(done, max(done, total))
    summary = ImportSummary.model_validate(importer, from_attributes=True)
    store.put_note(import_note(name), summary.model_dump(mode="json"))
    refused.check(f"{summary.trajectories} trajectories")
    return summary


@dataclass
class _Importer:
    """Counts while rows are imported, under the names of the summary."""

    store: Store
    sandbox: AnySandbox
    limits: Limits | None
    refused: RefusedRows
    versions: int = 0
    agree: int = 0
    trajectories: int = 0
    pairs: int = 0
    disagreements: list[Disagreement] = field(default_factory=list)
    failed_tools: list[str] = field(default_factory=list)
    _seen: dict[str, str] = field(default_factory=dict)
    _tasks: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self._tasks = {task.task_id: _identity(task) for task in self.store.tasks()}

    def add(self, rows: list[SourceRow]) -> None:
        """Execute and store a batch of rows."""
        accepted: list[tuple[RecordedRun, list[Job]]] = []
        for row in rows:
            try:
                accepted.append(self._accept(row))
            except RecordError as error:
                self.refused.add(error)
        executions = self._execute(job for _, jobs in accepted for job in jobs)
        for run, jobs in accepted:
            self._finish(run, [(job.key, executions[job.key]) for job in jobs])

    def _accept(self, row: SourceRow) -> tuple[RecordedRun, list[Job]]:
        """A row as a run with the jobs of its versions, its task stored under an id of its own.

        Raises:
            RecordError: The row is no run, or its id stands for another one already.
        """
        run = parse_run(row)
        if earlier := self._seen.get(run.trajectory_id):
            raise RecordError(f"{row.where}: id {run.trajectory_id} is that of {earlier}; give each run its own id")
        self._seen[run.trajectory_id] = row.where
        stored = self.store.trajectory(run.trajectory_id)
        task = self._as_stored(stored, run) or self._own_task(run.task)
        if stored and (stored.task_id, _programs(stored.attempts)) != (task.task_id, _programs(run.versions)):
            raise RecordError(
                f"{row.where}: trajectory {run.trajectory_id} is in {self.store.folder} with other content; "
                "import this file into another --run"
            )
        self.store.put_tasks([task])
        run = replace(run, task=task)
        return run, self._jobs(run)

    def _as_stored(self, stored: Trajectory | None, run: RecordedRun) -> Task | None:
        """The task of a stored trajectory where it is the row's but for what is put before programs: that is not in the
        row, and an earlier version may have put less there."""
        if stored is None or not run.task.prefix.startswith(PREAMBLE):
            return None
        task = self.store.task(stored.task_id)
        same = {"prefix": run.task.prefix, "task_id": run.task.task_id}
        return task if task.model_copy(update=same) == run.task else None

    def _own_task(self, task: Task) -> Task:
        """Under an id of its own: runs of one task may differ in prompt or tests; the first keeps the plain id."""
        identity = _identity(task)
        if self._tasks.setdefault(task.task_id, identity) == identity:
            return task
        task = task.model_copy(update={"task_id": f"{task.task_id}~{identity[:8]}"})
        self._tasks[task.task_id] = identity
        return task

    def _jobs(self, run: RecordedRun) -> list[Job]:
        jobs = [Job.from_task(run.task, version.program, seed=run.seed) for version in run.versions]
        return [job.model_copy(update={"limits": self.limits}) for job in jobs] if self.limits else jobs

    def _execute(self, jobs: Iterable[Job]) -> dict[str, Execution]:
        """Job key → execution: stored ones as they are, the others run once each and stored as they finish."""
        wanted = {job.key: job for job in jobs}
        executions = {key: stored for key in wanted if (stored := self.store.execution(key))}
        missing = [key for key in wanted if key not in executions]
        for key, execution in zip(missing, self.sandbox.run_many([wanted[key] for key in missing]), strict=True):
            executions[key] = execution
            if execution.verdict != "sandbox_error":
                self.store.put_execution(key, execution)
        return executions

    def _finish(self, run: RecordedRun, executed: list[tuple[str, Execution]]) -> None:
        """Store a run as a trajectory and count it; one the sandbox could not execute is left for another time."""
        if any(execution.verdict == "sandbox_error" for _, execution in executed):
            self.failed_tools.append(run.trajectory_id)
            return
        attempts = []
        for version, (key, execution) in zip(run.versions, executed, strict=True):
            attempts.append(_attempt(version, execution))
            self.store.put_attempt(run.trajectory_id, run.task.task_id, attempts[-1], key)
            self._compare(run.trajectory_id, version, execution)
        first_passing = next((i for i, attempt in enumerate(attempts) if attempt.execution.passed), None)
        self.store.put_trajectory(
            Trajectory(
                trajectory_id=run.trajectory_id,
                task_id=run.task.task_id,
                attempts=tuple(attempts),
                status="unresolved" if first_passing is None else "passed",
                client=run.client,
                seed=run.seed,
                origin=run.origin,
            )
        )
        self.trajectories += 1
        self.pairs += first_passing or 0

    def _compare(self, trajectory_id: str, version: Version, execution: Execution) -> None:
        step, recorded, here = version.iteration, version.status, status_of(execution.verdict)
        self.versions += 1
        if here == recorded:
            self.agree += 1
            return
        why = _why(version, execution)
        found = Disagreement(trajectory_id=trajectory_id, step=step, recorded=recorded, here=here, why=why)
        self.disagreements.append(found)


def _attempt(version: Version, execution: Execution) -> Attempt:
    return Attempt(
        iteration=version.iteration,
        program=version.program,
        completion=version.completion,
        execution=execution,
        call_id=version.call_id,
        cut=version.cut,
        feedback=version.feedback,
    )


def _why(version: Version, execution: Execution) -> str:
    """What was recorded and what happened here, in one line."""
    call = f" in {execution.failing_case.call}" if execution.failing_case else ""
    first = f": {execution.headline[:200]}" if execution.headline else ""
    return f"recorded {version.error_type or version.status}, here {execution.verdict}{call}{first}"


def _identity(task: Task) -> str:
    """Content of a task, whatever its id."""
    return fingerprint(task.model_dump(mode="json", exclude={"task_id"}))


def _programs(versions: Iterable[Version | Attempt]) -> list[str]:
    return [version.program for version in versions]
