"""One file → rows, streamed (but for an array): JSONL, gzipped or not, one JSON array, or Parquet."""

import gzip
import io
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .row import BrokenRow, RefusedRows, SourceRow, UnreadableSource, kind_in_words, numbered


def read_rows(path: Path, refused: RefusedRows | None = None, name: str = "") -> Iterator[SourceRow]:
    """The objects of one file; `name` is what its rows are said to come from (default: the file's own).

    Raises:
        UnreadableSource: The file can't be read.
        BrokenRow: A line is no JSON object, and there is no `refused` to note it.
    """
    name = name or path.name
    if path.suffix == ".parquet":
        yield from _parquet_rows(path, name)
        return
    start = 0
    for number, text in _numbered_texts(path):
        try:
            if text.strip():
                yield SourceRow(name, number, _object(name, number, text, start))
        except BrokenRow as error:
            if refused is None:
                raise
            refused.add(error)
        start += len(text)


def count_lines(path: Path) -> int:
    """Lines of a file, for progress; raises UnreadableSource."""
    with _readable(path), path.open("rb") as file:
        return sum(1 for _ in file)


def _numbered_texts(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a JSONL file, or the items of a JSON array as JSON again, numbered from 1."""
    with _readable(path), path.open("rb") as raw:
        zipped = raw.peek(2)[:2] == b"\x1f\x8b"
        with gzip.open(raw) if zipped else raw as file:
            lead = file.peek(64)[:64].removeprefix(b"\xef\xbb\xbf").lstrip()
            yield from _array(file.read()) if lead.startswith(b"[") else enumerate(file, start=1)


def _array(text: bytes) -> Iterator[tuple[int, bytes]]:
    with suppress(ValueError, RecursionError):
        items = json.loads(text.decode("utf-8-sig"))
        if isinstance(items, list) and all(isinstance(item, dict) for item in items):
            return ((number, json.dumps(item).encode()) for number, item in enumerate(items, start=1))
    return enumerate(io.BytesIO(text), start=1)  # not one array of objects: perhaps lines that start with a list


def _object(name: str, number: int, text: bytes, start: int) -> dict[str, Any]:
    try:
        values = json.loads(text.decode("utf-8-sig").rstrip())
    except UnicodeDecodeError as error:
        reason = f"not UTF-8 text (byte {error.start} of the line)"
        broken = BrokenRow(name, number, reason, f"{reason}; expected a JSON object")
        broken.byte = start + error.start
        raise broken from None
    except (ValueError, RecursionError) as error:
        lfs = text.startswith(b"version https://git-lfs")
        hint = "; this is a Git LFS pointer, fetch the file itself" if lfs else ""
        reason = f"{error.msg}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else str(error)
        message = f"not valid JSON ({reason}); expected one object a line{hint}"
        raise BrokenRow(name, number, reason, message) from None
    if not isinstance(values, dict):
        message = f"expected a JSON object, got {kind_in_words(values)}"
        raise BrokenRow(name, number, message, message, value=values)
    return values


def _parquet_rows(path: Path, name: str) -> Iterator[SourceRow]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with _readable(path), pq.ParquetFile(path) as file:
            rows = (values for batch in file.iter_batches(1024) for values in batch.to_pylist())
            yield from numbered(name, rows)
    except pa.ArrowException as error:
        raise UnreadableSource(f"{path}: not a readable Parquet file ({error}); get it again", str(error)) from None


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """What goes wrong while a file is read → UnreadableSource."""
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        reason = f"damaged ({error})"
        raise UnreadableSource(f"{path}: {reason}; expected JSONL in UTF-8, gzipped or not", reason) from None
    except OSError as error:
        reason = str(error.strerror or error)
        raise UnreadableSource(f"{path}: can't read this file ({reason}); check the path", reason) from None
