"""The database file of a run folder: its schema, its journal and the lock that lets one process write.

In: a run folder. Out: a connection of the newest schema. Released migrations never change.
Not here: what the rows mean (tables.py, store.py).
"""

import fcntl
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from iterpref.errors import StoreError

from .frames_migration import split_frames
from .quality_migration import forget_wrong_figures

# Entry i, SQL or a function, brings a database from version i to i + 1; released entries never change.
MIGRATIONS: tuple[str | Callable[[sqlite3.Connection], None], ...] = (
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
    split_frames,
    forget_wrong_figures,
    """
    CREATE TABLE IF NOT EXISTS diagnoses (task_id TEXT, content_hash TEXT, asked TEXT, record TEXT NOT NULL,
        PRIMARY KEY (task_id, content_hash, asked));
    """,
    # For pages of lists and counts (listings.py): each answered from an index, without a look at a record.
    """
    CREATE INDEX IF NOT EXISTS trajectories_listed ON trajectories (task_id, origin, status, trajectory_id);
    DROP INDEX IF EXISTS trajectories_by_task;
    CREATE INDEX IF NOT EXISTS attempts_by_verdict ON attempts (verdict, task_id, trajectory_id, iteration);
    CREATE INDEX IF NOT EXISTS attempts_by_execution ON attempts (execution_key, task_id, trajectory_id);
    CREATE INDEX IF NOT EXISTS executions_by_error ON executions (json_extract(record, '$.error_type'))
        WHERE verdict = 'error';
    CREATE INDEX IF NOT EXISTS pairs_by_kept ON pairs (kept, pair_id);
    CREATE INDEX IF NOT EXISTS pairs_by_error ON pairs (json_extract(record, '$.error_type'), pair_id);
    CREATE INDEX IF NOT EXISTS pairs_by_task ON pairs (task_id, pair_id);
    CREATE INDEX IF NOT EXISTS calls_by_client ON calls (client, prompt_tokens, completion_tokens, usd);
    """,
)
SCHEMA_VERSION = len(MIGRATIONS)

# What another run's database adds to this one, attached as `other`.
ABSORB = (
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


def connect(database: Path, write: bool, busy_s: float = 30.0) -> sqlite3.Connection:
    """Open a database; with `write` bring it to the newest schema.

    Args:
        busy_s: How long to wait where another process locks the file itself.

    Raises:
        StoreError: Not a database, one of a newer schema, one without tables, or one that can't be written to.
    """
    try:
        connection, version = _opened(database, write, busy_s)
        if version > SCHEMA_VERSION:
            connection.close()
            raise StoreError(
                f"{database}: written with schema {version}, and this iterpref knows up to {SCHEMA_VERSION}; "
                "upgrade iterpref, or choose another --run"
            )
        if not write:
            if not version:
                connection.close()
                raise StoreError(
                    f"{database}: holds no tables; the command that began this run was cut short, or is at it"
                )
            connection.execute("PRAGMA query_only = ON")
        else:
            # WAL with NORMAL survives the death of the process; only a power cut may lose the last rows.
            connection.execute(f"PRAGMA journal_mode = {_journal_mode(database)}")
            connection.execute("PRAGMA synchronous = NORMAL")
            for number, migration in enumerate(MIGRATIONS[version:], start=version + 1):
                if isinstance(migration, str):
                    connection.executescript(f"BEGIN; {migration}; PRAGMA user_version = {number}; COMMIT;")
                else:
                    connection.execute("BEGIN IMMEDIATE")
                    migration(connection)
                    connection.execute(f"PRAGMA user_version = {number}")
                    connection.commit()
        return connection
    except sqlite3.OperationalError as error:
        locked = not write and "locked" in str(error)
        raise cannot_read(database, error) if locked else cannot_write(database, error) from None
    except sqlite3.DatabaseError as error:
        raise cannot_read(database, error) from None


def cannot_read(database: Path, error: sqlite3.DatabaseError) -> StoreError:
    """What to say of a database that SQLite can't read, now or ever."""
    if "locked" in str(error):
        return StoreError(f"{database}: another process has locked it ({error}); try again when that one is done")
    return StoreError(f"{database}: not a readable run database ({error}); restore it or choose another --run")


def _opened(database: Path, write: bool, busy_s: float) -> tuple[sqlite3.Connection, int]:
    """A connection and the schema's version. A run in a place that can't be written to is read as it stands.

    SQLite itself refuses that: to read a database with a log it makes a file beside it.
    """
    connection = sqlite3.connect(database, check_same_thread=False, timeout=busy_s)
    try:
        return connection, _version(connection)
    except sqlite3.OperationalError:
        connection.close()
        if write or os.access(database.parent, os.W_OK) or not os.access(database, os.R_OK):
            raise
    log = database.with_name(f"{database.name}-wal")
    if log.exists() and log.stat().st_size:
        raise StoreError(
            f"{database}: the folder can't be written to, and the last rows are still in {log.name}, which can't "
            "be read without writing; copy the run folder to a place that you can write to"
        )
    connection = sqlite3.connect(f"{database.resolve().as_uri()}?immutable=1", uri=True, check_same_thread=False)
    return connection, _version(connection)


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def cannot_write(database: Path, error: sqlite3.OperationalError) -> StoreError:
    """What to say where the system refuses what SQLite has to write; a transaction that fails leaves nothing."""
    kept = "What was stored before is kept"
    if any(word in str(error) for word in ("full", "disk I/O error")):
        advice = "the disk or a quota is full. {kept}; free space and run the same command again to go on"
    elif any(word in str(error) for word in ("readonly", "unable to open")):
        advice = "the folder or the file can't be written to. {kept}; make it writable, or copy the run elsewhere"
    else:
        advice = "{kept}; run the same command again to go on"
    return StoreError(f"{database}: {error}: {advice.format(kept=kept)}")


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


def take_lock(folder: Path, wait_s: float) -> int:
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


def release(lock_file: int | None) -> None:
    """Let others write."""
    if lock_file is not None:
        os.close(lock_file)
