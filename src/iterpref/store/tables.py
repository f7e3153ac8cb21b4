"""Records ⇄ rows of an open database. Long texts are stored once, by hash, compressed.

In: records and queries. Out: records, streamed. Safe to share between threads.
Not here: which tables there are (database.py) and what they are asked for (store.py).
"""

import hashlib
import json
import sqlite3
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from iterpref.errors import StoreError
from iterpref.records import Record, well_formed
from iterpref.run_folder import DATABASE

from .database import cannot_write

R = TypeVar("R", bound=Record)
LONG_TEXT = 200  # characters; shorter ones stay in their record


class Tables:
    """Writing and reading rows; `Store` adds what each table is for."""

    def __init__(self, folder: Path, connection: sqlite3.Connection) -> None:
        self.folder = folder
        self._connection = connection
        self._mutex = threading.RLock()
        self._nested = 0  # transactions under way, one within another

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction, for one thread: what is written in it, nested ones included, is stored whole or not at all.

        Raises:
            StoreError: The disk is full, or the database can't be written to.
        """
        with self._mutex:
            self._nested += 1
            try:
                yield
                if self._nested == 1:
                    self._connection.commit()
            except BaseException as error:
                with suppress(sqlite3.Error):
                    self._connection.rollback()
                if isinstance(error, sqlite3.OperationalError):
                    raise cannot_write(self.folder / DATABASE, error) from None
                raise
            finally:
                self._nested -= 1

    def _put(self, table: str, *values: object) -> None:
        """Write one row, in place of one with the same key, in a transaction of its own."""
        with self._writing():
            self._insert(table, *values)

    def _insert(self, table: str, *values: object) -> None:
        """The same within a transaction."""
        marks = ", ".join("?" * len(values))
        carried = [well_formed(value) if isinstance(value, str) else value for value in values]
        self._connection.execute(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", carried)

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
                try:
                    self._connection.execute("INSERT OR IGNORE INTO texts VALUES (?, ?)", row)
                except sqlite3.OperationalError as error:
                    raise cannot_write(self.folder / DATABASE, error) from None
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
