"""Files that appear whole or not at all: written beside their place, then renamed into it.

A killed command leaves the earlier file, and a reader never sees half of one. JSON is escaped to ASCII, because a
program or a reply may hold a lone surrogate, which UTF-8 can't carry.
"""

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; what is there when the context ends without an error becomes `path`."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        with partial.open("rb+") as written:
            os.fsync(written.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str, errors: str = "strict") -> None:
    with whole(path) as partial:
        partial.write_text(text, encoding="utf-8", errors=errors)


def write_json(path: Path, value: Any, *, indent: int | None = None, sort_keys: bool = False) -> None:
    write_text(path, json.dumps(value, indent=indent, sort_keys=sort_keys))


def disk_trouble(error: BaseException | None) -> OSError | None:
    """The error of a full disk, a quota or a read-only folder in a chain of errors; None where there is none."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _DISK:
            return error
        error = error.__cause__ or error.__context__
    return None


_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}
