"""One run folder ⇄ records. Everything paid for is a row the moment it exists.

    with Store.open("runs/a") as store:
        store.put_tasks(tasks)
        for trajectory in store.trajectories(): ...

`run.sqlite` in WAL mode (a rollback journal on network filesystems, where WAL is unsafe), one writing process at a
time. A row is committed when its method returns, so a killed process loses at most the record it was computing. Texts
of 200 characters and more are stored once, by hash, compressed. Writing the same key again replaces the row, so a
repeated stage ends in the same records.

Not here: Parquet and cards (`pairing`), result files (`evaluation`).
"""

import fcntl
import hashlib
import json
import os
import sqlite3
import threading
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Self, TypeVar

from iterpref.errors import StoreError
from iterpref.records import (
    Attempt,
    Execution,
    ImportedPair,
    PreferencePair,
    Record,
    Result,
    Task,
    TestQuality,
    Trajectory,
)

R = TypeVar("R", bound=Record)
DATABASE = "run.sqlite"
LONG_TEXT = 200

# Entry i brings a database from version i to i + 1; released entries never change.
MIGRATIONS = (
    """
    CREATE TABLE texts (hash BLOB PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE tasks (task_id TEXT PRIMARY KEY, split TEXT, tests_hash TEXT, record TEXT NOT NULL);
    CREATE TABLE calls (key TEXT PRIMARY KEY, client TEXT, sample_index INTEGER, prompt_tokens INTEGER,
        completion_tokens INTEGER, usd REAL, request TEXT NOT NULL, completion TEXT NOT NULL);
    CREATE TABLE dead_letters (key TEXT PRIMARY KEY, client TEXT, error TEXT NOT NULL, request TEXT NOT NULL);
    CREATE TABLE executions (key TEXT PRIMARY KEY, verdict TEXT, record TEXT NOT NULL);
    CREATE TABLE attempts (trajectory_id TEXT, iteration INTEGER, task_id TEXT, verdict TEXT, execution_key TEXT,
        record TEXT NOT NULL, PRIMARY KEY (trajectory_id, iteration));
    CREATE TABLE trajectories (trajectory_id TEXT PRIMARY KEY, task_id TEXT, origin TEXT, status TEXT,
        record TEXT NOT NULL);
    CREATE TABLE pairs (pair_id TEXT PRIMARY KEY, task_id TEXT, kept INTEGER, record TEXT NOT NULL);
    CREATE TABLE imported_pairs (pair_id TEXT PRIMARY KEY, task_id TEXT, record TEXT NOT NULL);
    CREATE TABLE results (result_id TEXT PRIMARY KEY, benchmark TEXT, model TEXT, record TEXT NOT NULL);
    CREATE TABLE qualities (task_id TEXT, program_hash TEXT, record TEXT NOT NULL, PRIMARY KEY (task_id, program_hash));
    CREATE TABLE judgements (key TEXT PRIMARY KEY, logical INTEGER NOT NULL, reason TEXT NOT NULL);
    CREATE TABLE notes (key TEXT PRIMARY KEY, value TEXT NOT NULL);
    CREATE INDEX attempts_by_task ON attempts (task_id);
    CREATE INDEX trajectories_by_task ON trajectories (task_id);
    """,
)
SCHEMA_VERSION = len(MIGRATIONS)

_ABSORB = (
    "INSERT OR IGNORE INTO texts SELECT * FROM other.texts",
    "INSERT OR IGNORE INTO calls SELECT * FROM other.calls",
    "INSERT OR IGNORE INTO executions SELECT * FROM other.executions",
    # Of two versions of a trajectory, the one with more attempts: all of its rows.
    """INSERT OR REPLACE INTO attempts SELECT * FROM other.attempts o
    WHERE task_id IN (SELECT task_id FROM tasks) AND
        (SELECT count(*) FROM other.attempts a WHERE a.trajectory_id = o.trajectory_id) >=
        (SELECT count(*) FROM main.attempts a WHERE a.trajectory_id = o.trajectory_id)""",
    """INSERT OR REPLACE INTO trajectories SELECT * FROM other.trajectories o
    WHERE task_id IN (SELECT task_id FROM tasks) AND
        (SELECT count(*) FROM other.attempts a WHERE a.trajectory_id = o.trajectory_id) =
        (SELECT count(*) FROM main.attempts a WHERE a.trajectory_id = o.trajectory_id)""",
    "INSERT OR REPLACE INTO dead_letters SELECT * FROM other.dead_letters",
    "DELETE FROM dead_letters WHERE key IN (SELECT key FROM calls)",
)

_NETWORK_FILESYSTEMS = {"nfs", "nfs4", "cifs", "smb3", "lustre", "gpfs", "beegfs", "ceph", "9p", "afs"}


class Store:
    """A run folder, open for reading or for writing. Safe to share between threads."""

    def __init__(self, folder: Path, connection: sqlite3.Connection, lock_file: int | None) -> None:
        self.folder = folder
        self._connection = connection
        self._lock_file = lock_file
        self._mutex = threading.RLock()

    @classmethod
    def open(cls, folder: str | Path, *, write: bool = True, wait_s: float = 0.0) -> Self:
        """Open a run folder; with `write` create it when absent and hold its lock until closed.

        Args:
            wait_s: How long to wait for another writer: a worker that was killed may take a moment to die.

        Raises:
            StoreError: No such run, a newer schema, a damaged database, or another process is writing.
        """
        folder = Path(folder)
        database = folder / DATABASE
        if not write and not database.is_file():
            raise StoreError(f"{folder}: no run here (expected {DATABASE}); give the folder of an earlier --run")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock_file = _take_lock(folder, wait_s) if write else None
        except OSError as error:
            raise StoreError(f"{folder}: can't use this run folder ({error.strerror}); choose another --run") from None
        try:
            connection = _connect(database, write)
        except BaseException:
            _release(lock_file)
            raise
        return cls(folder, connection, lock_file)

    def close(self) -> None:
        with self._mutex:
            self._connection.close()
            _release(self._lock_file)
            self._lock_file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- tasks ---

    def put_tasks(self, tasks: Iterable[Task]) -> None:
        """Add tasks.

        Raises:
            StoreError: A task of this id is there with other tests: changed tests make a new task, with a new id.
        """
        with self._mutex:
            for task in tasks:
                stored = self._one("SELECT tests_hash FROM tasks WHERE task_id = ?", task.task_id)
                if stored and stored[0] != task.tests_hash:
                    raise StoreError(
                        f"task {task.task_id}: its tests differ from those stored in {self.folder} "
                        f"({task.tests_hash} against {stored[0]}); tests are frozen, so give the changed task a new id"
                    )
                if not stored:
                    self._put("tasks", task.task_id, task.split, task.tests_hash, self._pack(task), commit=False)
            self._connection.commit()

    def tasks(self, split: str | None = None) -> Iterator[Task]:
        """Tasks in the order they were added, all or of one split."""
        where, values = ("split = ?", (split,)) if split is not None else ("1", ())
        for record in self._pages("tasks", "rowid", where, *values):
            yield self._unpack(Task, record)

    def task(self, task_id: str) -> Task:
        row = self._one("SELECT record FROM tasks WHERE task_id = ?", task_id)
        if row is None:
            raise StoreError(f"task {task_id}: not in {self.folder}; import or synthesize it first")
        return self._unpack(Task, row[0])

    # --- calls ---

    def put_call(self, key: str, client: str, sample_index: int, tokens: tuple[int, int], usd: float | None,
                 request: Record, completion: Record) -> None:  # fmt: skip
        """One answered model call; `tokens` are (prompt, completion), `usd` is None where no budget counts it."""
        row = (key, client, sample_index, *tokens, usd, self._pack(request), self._pack(completion))
        with self._mutex:
            self._connection.execute("DELETE FROM dead_letters WHERE key = ?", (key,))
            self._put("calls", *row)

    def call(self, key: str, kind: type[R]) -> R | None:
        """The completion stored for a call key."""
        return self._get(kind, "SELECT completion FROM calls WHERE key = ?", key)

    def spending(self) -> tuple[int, float]:
        """Answered calls to endpoints, and what they cost in US dollars."""
        row = self._one("SELECT count(usd), total(usd) FROM calls")
        return int(row[0]), float(row[1])

    def mean_tokens(self) -> tuple[float, float] | None:
        """Prompt and completion tokens of an average call to an endpoint; None before the first."""
        row = self._one("SELECT avg(prompt_tokens), avg(completion_tokens) FROM calls WHERE usd IS NOT NULL")
        return None if row[0] is None else (float(row[0]), float(row[1]))

    def put_dead_letter(self, key: str, client: str, error: str, request: Record) -> None:
        """A call that was given up, and why."""
        self._put("dead_letters", key, client, error, self._pack(request))

    def dead_letter(self, key: str) -> str | None:
        """Why a call was given up; None if it was not."""
        row = self._one("SELECT error FROM dead_letters WHERE key = ?", key)
        return str(row[0]) if row else None

    def forget_dead_letters(self, keys: Iterable[str] | None = None) -> int:
        """Let calls be made again, these or all; returns how many."""
        with self._mutex:
            if keys is None:
                forgotten = self._connection.execute("DELETE FROM dead_letters").rowcount
            else:
                values = [(key,) for key in keys]
                forgotten = self._connection.executemany("DELETE FROM dead_letters WHERE key = ?", values).rowcount
            self._connection.commit()
        return forgotten

    def put_execution(self, key: str, execution: Execution) -> None:
        self._put("executions", key, execution.verdict, self._pack(execution))

    def execution(self, key: str) -> Execution | None:
        return self._get(Execution, "SELECT record FROM executions WHERE key = ?", key)

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
        query = (
            "SELECT a.record, e.record FROM attempts a JOIN executions e ON e.key = a.execution_key "
            "WHERE a.trajectory_id = ? ORDER BY a.iteration"
        )
        attempts = [
            self._unpack_json(attempt) | {"execution": self._unpack_json(execution)}
            for attempt, execution in self._rows(query, values["trajectory_id"])
        ]
        return Trajectory.model_validate(values | {"attempts": attempts})

    def passed_attempts(self, task_id: str) -> list[Attempt]:
        """Attempts at a task that passed, over all its trajectories."""
        query = (
            "SELECT a.record, e.record FROM attempts a JOIN executions e ON e.key = a.execution_key "
            "WHERE a.task_id = ? AND a.verdict = 'passed' ORDER BY a.trajectory_id, a.iteration"
        )
        return [
            Attempt.model_validate(self._unpack_json(attempt) | {"execution": self._unpack_json(execution)})
            for attempt, execution in self._rows(query, task_id)
        ]

    # --- test quality ---

    def put_quality(self, quality: TestQuality) -> None:
        """How good a task's tests are, by one of the programs that pass them."""
        self._put("qualities", quality.task_id, quality.program_hash, self._pack(quality))

    def quality(self, task_id: str, program_hash: str) -> TestQuality | None:
        query = "SELECT record FROM qualities WHERE task_id = ? AND program_hash = ?"
        row = self._one(query, task_id, program_hash)
        return self._unpack(TestQuality, row[0]) if row else None

    def qualities(self) -> Iterator[TestQuality]:
        return self._records(TestQuality, "SELECT record FROM qualities ORDER BY task_id, program_hash")

    def put_judgement(self, key: str, logical: bool, reason: str) -> None:
        """A judge's word on the difference of two texts."""
        self._put("judgements", key, int(logical), reason)

    def judgement(self, key: str) -> tuple[bool, str] | None:
        row = self._one("SELECT logical, reason FROM judgements WHERE key = ?", key)
        return (bool(row[0]), str(row[1])) if row else None

    # --- pairs and results ---

    def put_imported_pairs(self, pairs: Iterable[ImportedPair]) -> None:
        """Add pairs that were made elsewhere, in one transaction; `pairing` gives them their spans."""
        with self._mutex:
            for pair in pairs:
                self._put("imported_pairs", pair.pair_id, pair.task_id, self._pack(pair), commit=False)
            self._connection.commit()

    def imported_pairs(self) -> Iterator[ImportedPair]:
        return self._records(ImportedPair, "SELECT record FROM imported_pairs ORDER BY pair_id")

    def replace_pairs(self, pairs: Iterable[PreferencePair]) -> None:
        """Make these the pairs of the run, in one transaction: pairing is recomputed as a whole, and costs no call."""
        with self._mutex:
            self._connection.execute("DELETE FROM pairs")
            for pair in pairs:
                self._put("pairs", pair.pair_id, pair.task_id, pair.kept, self._pack(pair), commit=False)
            self._connection.commit()

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

    def count(self, table: str, where: str = "1", *values: object) -> int:
        """Rows of a table; for funnels and progress."""
        row = self._one(f"SELECT count(*) FROM {table} WHERE {where}", *values)
        return int(row[0]) if row else 0

    # --- shards ---

    def absorb(self, other: Path) -> None:
        """Add what another run folder holds on this one's tasks: calls, executions, attempts, trajectories.

        Absorbing the same folder again changes nothing. Of two records with one key the further trajectory stays.
        """
        with self._mutex:
            self._connection.execute("ATTACH ? AS other", (str(other / DATABASE),))
            try:
                for statement in _ABSORB:
                    self._connection.execute(statement)
                self._connection.commit()
            except sqlite3.DatabaseError as error:
                self._connection.rollback()
                raise StoreError(f"{other}: can't be merged into {self.folder} ({error})") from None
            finally:
                self._connection.execute("DETACH other")

    # --- rows ---

    def _put(self, table: str, *values: object, commit: bool = True) -> None:
        """Write one row, in place of one with the same key."""
        marks = ", ".join("?" * len(values))
        with self._mutex:
            self._connection.execute(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", values)
            if commit:
                self._connection.commit()

    def _one(self, query: str, *values: object) -> Any:
        with self._mutex:
            return self._connection.execute(query, values).fetchone()

    def _get(self, kind: type[R], query: str, *values: object) -> R | None:
        row = self._one(query, *values)
        return self._unpack(kind, row[0]) if row else None

    def _rows(self, query: str, *values: object) -> Iterator[Any]:
        with self._mutex:
            cursor = self._connection.execute(query, values)
        while True:
            with self._mutex:
                rows = cursor.fetchmany(256)
            if not rows:
                return
            yield from rows

    def _pages(self, table: str, key: str, where: str, *values: object) -> Iterator[str]:
        """Records in the order of `key`, page by page.

        A cursor that stays open through a long stage would keep SQLite from emptying its log, which grows without end.
        """
        query = f"SELECT {key}, record FROM {table} WHERE {where} AND ({key} > ? OR ?) ORDER BY {key} LIMIT 256"
        last: object = None
        while True:
            with self._mutex:
                page = self._connection.execute(query, (*values, last, last is None)).fetchall()
            if not page:
                return
            last = page[-1][0]
            for _, record in page:
                yield record

    def _records(self, kind: type[R], query: str, *values: object) -> Iterator[R]:
        for (record,) in self._rows(query, *values):
            yield self._unpack(kind, record)

    # --- texts ---

    def _pack(self, record: Record) -> str:
        return self._pack_json(record.model_dump(mode="json"))

    def _pack_json(self, value: Any) -> str:
        return json.dumps(self._externalise(value), ensure_ascii=True)

    def _unpack(self, kind: type[R], packed: str) -> R:
        return kind.model_validate(self._unpack_json(packed))

    def _unpack_json(self, packed: str) -> Any:
        return json.loads(packed, object_hook=self._internalise)

    def _externalise(self, value: Any) -> Any:
        """Replace long strings by references into `texts`."""
        if isinstance(value, str) and len(value) >= LONG_TEXT:
            body = value.encode("utf-8", "surrogatepass")
            digest = hashlib.sha256(body).digest()[:16]
            with self._mutex:
                row = (digest, zlib.compress(body, 6))
                self._connection.execute("INSERT OR IGNORE INTO texts VALUES (?, ?)", row)
            return {"$text": digest.hex()}
        if isinstance(value, dict):
            return {key: self._externalise(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._externalise(item) for item in value]
        return value

    def _internalise(self, value: dict[str, Any]) -> Any:
        if value.keys() != {"$text"}:
            return value
        row = self._one("SELECT body FROM texts WHERE hash = ?", bytes.fromhex(value["$text"]))
        if row is None:
            raise StoreError(f"{self.folder / DATABASE}: text {value['$text']} is missing; the database is damaged")
        return zlib.decompress(row[0]).decode("utf-8", "surrogatepass")


def _connect(database: Path, write: bool) -> sqlite3.Connection:
    try:
        connection = sqlite3.connect(database, check_same_thread=False, timeout=30)
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version > SCHEMA_VERSION:
            connection.close()
            raise StoreError(
                f"{database}: written with schema {version}, and this iterpref knows up to {SCHEMA_VERSION}; "
                "upgrade iterpref, or choose another --run"
            )
        if write:
            # WAL with NORMAL survives the death of the process; only a power cut may lose the last rows.
            connection.execute(f"PRAGMA journal_mode = {_journal_mode(database)}")
            connection.execute("PRAGMA synchronous = NORMAL")
            for number, migration in enumerate(MIGRATIONS[version:], start=version + 1):
                connection.executescript(f"BEGIN; {migration}; PRAGMA user_version = {number}; COMMIT;")
        return connection
    except sqlite3.DatabaseError as error:
        message = f"{database}: not a readable run database ({error}); restore it or choose another --run"
        raise StoreError(message) from None


def _journal_mode(database: Path) -> str:
    """WAL needs shared memory between processes, which network filesystems don't give."""
    return "DELETE" if _filesystem(database) in _NETWORK_FILESYSTEMS else "WAL"


def _filesystem(path: Path) -> str:
    """Type of the filesystem that holds a path; "" where it can't be told."""
    best = ("", "")
    with suppress(OSError):
        for line in Path("/proc/mounts").read_text().splitlines():
            _, mount, kind, *_ = line.split(" ")
            if path.resolve().is_relative_to(mount) and len(mount) >= len(best[0]):
                best = (mount, kind)
    return best[1]


def _take_lock(folder: Path, wait_s: float) -> int:
    """Hold the folder's lock file; the kernel frees it when the process dies, however it dies."""
    lock_file = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock_file
        except BlockingIOError:
            if time.monotonic() < deadline:
                time.sleep(0.2)
                continue
            os.close(lock_file)
            said = "another iterpref process is writing to this run; wait for it or stop it"
            raise StoreError(f"{folder}: {said}") from None


def _release(lock_file: int | None) -> None:
    if lock_file is not None:
        os.close(lock_file)
