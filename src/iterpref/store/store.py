"""One run folder ⇄ records. Everything paid for is a row the moment it exists.

    with Store.open("runs/a") as store:
        store.put_tasks(tasks)
        for trajectory in store.trajectories(): ...

`run.sqlite` in WAL mode (a rollback journal on network filesystems, where WAL is unsafe), one writing process at a
time. A row is committed when its method returns, so a killed process loses at most the record it was computing. Writing
the same key again replaces the row, so a repeated stage ends in the same records.

Not here: the schema (database.py), how a record becomes a row (tables.py), what was paid for (calls.py), how much there
is (counts.py), diagnoses of pairs (diagnoses.py), pages of lists (listings.py), Parquet and cards (`pairing`),
result files (`evaluation`).
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Self

from iterpref.errors import StoreError
from iterpref.records import (
    Attempt,
    ImportedPair,
    PreferencePair,
    Result,
    Task,
    TestQuality,
    Trajectory,
)
from iterpref.run_folder import DATABASE

from .calls import Calls
from .database import ABSORB, connect, release, take_lock
from .diagnoses import Diagnoses
from .listings import Listings


class Store(Calls, Listings, Diagnoses):
    """A run folder's records, open for reading or for writing. Safe to share between threads.

    Promised to callers elsewhere (docs/python.md): `open` and `close`, `put_tasks` and `put_imported_pairs`, `tasks`,
    `task`, `trajectories`, `trajectory`, `attempts`, `pairs`, `pair` and `results`. What gives many records streams
    them.

    Raises:
        StoreError: The run can't be opened or written; see `open`.
    """

    def __init__(self, folder: Path, connection: sqlite3.Connection, lock_file: int | None) -> None:
        super().__init__(folder, connection)
        self._lock_file = lock_file

    @classmethod
    def open(cls, folder: str | Path, *, write: bool = True, wait_s: float = 0.0, busy_s: float = 30.0) -> Self:
        """Open a run folder; with `write` create it when absent and hold its lock until closed.

        Args:
            wait_s: How long to wait for another writer: a worker that was killed may take a moment to die.
            busy_s: How long to wait where another process locks the database file itself.

        Raises:
            StoreError: No such run, a newer schema, a damaged database, or another process is writing.
        """
        folder = Path(folder)
        database = folder / DATABASE
        if not write and not database.is_file():
            raise StoreError(f"{folder}: no run here (expected {DATABASE}); give the folder of an earlier --run")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock_file = take_lock(folder, wait_s) if write else None
        except OSError as error:
            raise StoreError(f"{folder}: can't use this run folder ({error.strerror}); choose another --run") from None
        try:
            connection = connect(database, write, busy_s)
        except BaseException:
            release(lock_file)
            raise
        return cls(folder, connection, lock_file)

    def close(self) -> None:
        with self._mutex:
            self._connection.close()
            release(self._lock_file)
            self._lock_file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- tasks ---

    def put_tasks(self, tasks: Iterable[Task]) -> None:
        """Add tasks.

        A task that is there stays as it is; one that was stored before its entry point was known has the same tests.

        Raises:
            StoreError: A task of this id is there with other tests: changed tests make a new task, with a new id.
        """
        with self._writing():
            for task in tasks:
                stored = self._one("SELECT tests_hash FROM tasks WHERE task_id = ?", task.task_id)
                unnamed = task.model_copy(update={"entry_point": None})
                if stored and stored[0] not in (task.tests_hash, unnamed.tests_hash):
                    raise StoreError(
                        f"task {task.task_id}: its tests differ from those stored in {self.folder} "
                        f"({task.tests_hash} against {stored[0]}); tests are frozen, so give the changed task a new id"
                    )
                if not stored:
                    self._insert("tasks", task.task_id, task.split, task.tests_hash, self._pack(task))

    def correct_reference(self, task_id: str, reference: str | None) -> None:
        """Give a stored task another reference: it is shown to no model, and says only whether the tests are right."""
        stored = self.task(task_id)
        if stored.reference != reference:
            record = self._pack(stored.model_copy(update={"reference": reference}))
            with self._mutex:
                self._connection.execute("UPDATE tasks SET record = ? WHERE task_id = ?", (record, task_id))
                self._connection.commit()

    def tasks(self, split: str | None = None) -> Iterator[Task]:
        """Tasks in the order they were added, all or of one split."""
        where, values = ("split = ?", (split,)) if split is not None else ("1", ())
        for record in self._pages("tasks", "rowid", where, *values):
            yield self._unpack(Task, record)

    def task(self, task_id: str) -> Task:
        """The task of this id; StoreError where there is none."""
        found = self.find_task(task_id)
        if found is None:
            raise StoreError(f"task {task_id}: not in {self.folder}; import or synthesize it first")
        return found

    def find_task(self, task_id: str) -> Task | None:
        return self._get(Task, "SELECT record FROM tasks WHERE task_id = ?", task_id)

    # --- trajectories ---

    def put_attempt(self, trajectory_id: str, task_id: str, attempt: Attempt, execution_key: str) -> None:
        """One attempt of a trajectory that is still under way; its execution must be stored."""
        record = attempt.model_dump(mode="json", exclude={"execution"})
        row = (trajectory_id, attempt.iteration, task_id, attempt.execution.verdict, execution_key)
        self._put("attempts", *row, self._pack_json(record))

    def put_trajectory(self, trajectory: Trajectory) -> None:
        """Close a trajectory; its attempts must be stored."""
        record = trajectory.model_dump(mode="json", exclude={"attempts"})
        row = (trajectory.trajectory_id, trajectory.task_id, trajectory.origin, trajectory.status)
        self._put("trajectories", *row, self._pack_json(record))

    def forget_trajectory(self, trajectory_id: str) -> None:
        """Remove a trajectory with its attempts, which are made again; executions stay."""
        with self._writing():
            for table in ("attempts", "trajectories"):
                self._connection.execute(f"DELETE FROM {table} WHERE trajectory_id = ?", (trajectory_id,))

    def trajectory(self, trajectory_id: str) -> Trajectory | None:
        row = self._one("SELECT record FROM trajectories WHERE trajectory_id = ?", trajectory_id)
        return self._assemble(row[0]) if row else None

    def trajectories(self, origin: str | None = None) -> Iterator[Trajectory]:
        """Closed trajectories by id, all or of one origin; streamed."""
        where, values = ("origin = ?", (origin,)) if origin is not None else ("1", ())
        for record in self._pages("trajectories", "trajectory_id", where, *values):
            yield self._assemble(record)

    def _assemble(self, record: str) -> Trajectory:
        values = self._unpack_json(record)
        attempts = self._attempts("a.trajectory_id = ? ORDER BY a.iteration", values["trajectory_id"])
        return Trajectory.model_validate(values | {"attempts": attempts})

    def attempts(self, trajectory_id: str) -> list[Attempt]:
        """Attempts of a trajectory, closed or under way."""
        which = "a.trajectory_id = ? ORDER BY a.iteration"
        return [Attempt.model_validate(values) for values in self._attempts(which, trajectory_id)]

    def passed_attempts(self, task_id: str) -> list[Attempt]:
        """Attempts at a task that passed, over all its trajectories."""
        which = "a.task_id = ? AND a.verdict = 'passed' ORDER BY a.trajectory_id, a.iteration"
        return [Attempt.model_validate(values) for values in self._attempts(which, task_id)]

    def _attempts(self, which: str, *values: object) -> list[dict[str, Any]]:
        query = f"SELECT a.record, e.record FROM attempts a JOIN executions e ON e.key = a.execution_key WHERE {which}"
        return [
            self._unpack_json(attempt) | {"execution": self._unpack_json(execution)}
            for attempt, execution in self._rows(query, *values)
        ]

    # --- test quality ---

    def put_quality(self, quality: TestQuality) -> None:
        """How good a task's tests are, by one of the programs that pass them."""
        self._put("qualities", quality.task_id, quality.program_hash, self._pack(quality))

    def quality(self, task_id: str, program_hash: str) -> TestQuality | None:
        query = "SELECT record FROM qualities WHERE task_id = ? AND program_hash = ?"
        row = self._one(query, task_id, program_hash)
        return self._unpack(TestQuality, row[0]) if row else None

    def qualities(self, *, failing: bool = False) -> Iterator[TestQuality]:
        """What was measured on passing programs, or on failing ones."""
        query = "SELECT record FROM qualities ORDER BY task_id, program_hash"
        return (quality for quality in self._records(TestQuality, query) if quality.failing == failing)

    def put_judgement(self, key: str, logical: bool, reason: str) -> None:
        """A judge's word on the difference of two texts."""
        self._put("judgements", key, int(logical), reason)

    def judgement(self, key: str) -> tuple[bool, str] | None:
        row = self._one("SELECT logical, reason FROM judgements WHERE key = ?", key)
        return (bool(row[0]), str(row[1])) if row else None

    # --- pairs and results ---

    def put_imported_pairs(self, pairs: Iterable[ImportedPair]) -> None:
        """Add pairs that were made elsewhere, in one transaction; `pairing` gives them their spans."""
        with self._writing():
            for pair in pairs:
                self._insert("imported_pairs", pair.pair_id, pair.task_id, self._pack(pair))

    def imported_pairs(self) -> Iterator[ImportedPair]:
        return self._records(ImportedPair, "SELECT record FROM imported_pairs ORDER BY pair_id")

    def replace_pairs(self, pairs: Iterable[PreferencePair]) -> None:
        """Make these the pairs of the run, in one transaction: pairing is recomputed as a whole, and costs no call."""
        with self._writing():
            self._connection.execute("DELETE FROM pairs")
            for pair in pairs:
                self._insert("pairs", pair.pair_id, pair.task_id, pair.kept, self._pack(pair))

    def pair(self, pair_id: str) -> PreferencePair | None:
        return self._get(PreferencePair, "SELECT record FROM pairs WHERE pair_id = ?", pair_id)

    def pairs(self, *, kept: bool | None = None) -> Iterator[PreferencePair]:
        where, values = ("WHERE kept = ?", (int(kept),)) if kept is not None else ("", ())
        return self._records(PreferencePair, f"SELECT record FROM pairs {where} ORDER BY pair_id", *values)

    def licenses(self) -> dict[str, int]:
        """Licence of the task or the imported pair → kept pairs under it; "" where none is stated."""
        query = (
            "SELECT coalesce(json_extract(i.record, '$.license'), json_extract(t.record, '$.license'), ''), count(*) "
            "FROM pairs p LEFT JOIN tasks t ON t.task_id = p.task_id "
            "LEFT JOIN imported_pairs i ON i.pair_id = p.pair_id WHERE p.kept = 1 GROUP BY 1 ORDER BY 2 DESC"
        )
        return dict(self._rows(query))

    def put_result(self, result: Result) -> None:
        self._put("results", result.result_id, result.benchmark, result.model, self._pack(result))

    def result(self, result_id: str) -> Result | None:
        return self._get(Result, "SELECT record FROM results WHERE result_id = ?", result_id)

    def results(self) -> Iterator[Result]:
        return self._records(Result, "SELECT record FROM results ORDER BY rowid")

    # --- notes: small JSON facts a stage leaves for the report (funnel, seconds) ---

    def put_note(self, key: str, value: Any) -> None:
        self._put("notes", key, json.dumps(value))

    def note(self, key: str) -> Any:
        row = self._one("SELECT value FROM notes WHERE key = ?", key)
        return json.loads(row[0]) if row else None

    def notes(self, prefix: str) -> dict[str, Any]:
        """The notes whose keys begin so, by key."""
        query = "SELECT key, value FROM notes WHERE substr(key, 1, length(?)) = ? ORDER BY key"
        return {key: json.loads(value) for key, value in self._rows(query, prefix, prefix)}

    # --- shards ---

    def absorb(self, other: Path) -> None:
        """Add what another run folder holds on this one's tasks: calls, executions, attempts, trajectories.

        Absorbing the same folder again changes nothing. Of two records with one key the further trajectory stays.
        """
        with self._mutex:
            self._connection.execute("ATTACH ? AS other", (str(other / DATABASE),))
            try:
                for statement in ABSORB:
                    self._connection.execute(statement)
                self._connection.commit()
            except sqlite3.DatabaseError as error:
                self._connection.rollback()
                raise StoreError(f"{other}: can't be merged into {self.folder} ({error})") from None
            finally:
                self._connection.execute("DETACH other")
