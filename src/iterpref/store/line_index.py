"""Where in a file is the line of a key? An index whose memory doesn't grow with the file.

In: keys with the place of their line. Out: the place. It lives in an unnamed database of SQLite: in memory while it is
small, else in a file that goes with it.
"""

import sqlite3


class LineIndex:
    """Key → (start, size) in bytes; a key that comes again replaces the earlier one."""

    def __init__(self) -> None:
        self._connection = sqlite3.connect("", check_same_thread=False)
        self._connection.execute("CREATE TABLE lines (key TEXT PRIMARY KEY, start INTEGER, size INTEGER) WITHOUT ROWID")

    def put(self, key: str, start: int, size: int) -> None:
        self._connection.execute("INSERT OR REPLACE INTO lines VALUES (?, ?, ?)", (key, start, size))

    def find(self, key: str) -> tuple[int, int] | None:
        found: tuple[int, int] | None = self._connection.execute(
            "SELECT start, size FROM lines WHERE key = ?", (key,)
        ).fetchone()
        return found

    def close(self) -> None:
        self._connection.close()
