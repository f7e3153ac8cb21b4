"""From schema 1 to 2: the frames of an error, until then lines at the end of its text, become a field of their own.

In: a connection. Out: every stored execution, also those of results, has `error` and `frames`; joined they are the old
text. Knows the rows of schema 1 by itself, so that it keeps reading them whatever becomes of tables.py.
"""

import hashlib
import json
import re
import sqlite3
import zlib
from typing import Any

_LONG_TEXT = 200
_FRAME = re.compile(
    r"  ((\S.* )?line \d+(, in [^:]+)?(: .*)?|\.\.\. (about )?\d+ more frames|with \w+ = .*|in subtest .*"
    r"|\S.*\) returned .*)"
)


def split_frames(connection: sqlite3.Connection) -> None:
    """Give each execution its frames."""
    for key, packed in connection.execute("SELECT rowid, record FROM executions"):
        record = json.loads(packed)
        _split(connection, record)
        connection.execute("UPDATE executions SET record = ? WHERE rowid = ?", (json.dumps(record), key))
    for key, packed in connection.execute("SELECT rowid, record FROM results"):
        record = json.loads(packed)
        for sample in record["samples"]:
            _split(connection, sample["execution"])
        connection.execute("UPDATE results SET record = ? WHERE rowid = ?", (json.dumps(record), key))


def _split(connection: sqlite3.Connection, execution: dict[str, Any]) -> None:
    lines = _text(connection, execution["error"]).split("\n")
    start = len(lines)
    while start > 1 and _FRAME.fullmatch(lines[start - 1]):
        start -= 1
    if start < len(lines):
        execution["error"] = _packed(connection, "\n".join(lines[:start]))
        execution["frames"] = [_packed(connection, line) for line in lines[start:]]


def _text(connection: sqlite3.Connection, stored: str | dict[str, str]) -> str:
    """A text as it was given: a long one lies in `texts`, by hash."""
    if isinstance(stored, str):
        return stored
    query = "SELECT body FROM texts WHERE hash = ?"
    (body,) = connection.execute(query, (bytes.fromhex(stored["$text"]),)).fetchone()
    return zlib.decompress(body).decode("utf-8", "surrogatepass")


def _packed(connection: sqlite3.Connection, text: str) -> str | dict[str, str]:
    if len(text) < _LONG_TEXT:
        return text
    body = text.encode("utf-8", "surrogatepass")
    digest = hashlib.sha256(body).digest()[:16]
    connection.execute("INSERT OR IGNORE INTO texts VALUES (?, ?)", (digest, zlib.compress(body, 6)))
    return {"$text": digest.hex()}
