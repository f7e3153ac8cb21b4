"""One file → rows: JSONL, JSON (an array, or objects over several lines), CSV or TSV, each packed or not, or Parquet.

Streamed, but for JSON that is no JSONL, which is read whole.
"""

import io
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

from iterpref.records import well_formed

from .packed import PACKED_ENDINGS, readable, unpacked
from .row import BrokenRow, RefusedRows, SourceRow, UnreadableSource, kind_in_words, numbered
from .tables import DELIMITERS, table_rows

FILE_ENDINGS = {".json", ".jsonl", ".ndjson", ".parquet", *DELIMITERS, *PACKED_ENDINGS}


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
    with unpacked(path) as file:
        delimiter = DELIMITERS.get(ending_of(path))
        found = table_rows(file, name, delimiter) if delimiter else _json_rows(file, name)
        for row in found:
            if isinstance(row, SourceRow):
                yield row
            elif refused is None:
                raise row
            else:
                refused.add(row)


def count_lines(path: Path) -> int:
    """Lines of a file, for progress; raises UnreadableSource."""
    with unpacked(path) as file:
        return sum(1 for _ in file)


def ending_of(path: Path) -> str:
    """`.csv` of `pairs.csv.gz`."""
    return next((ending for ending in reversed(path.suffixes) if ending not in PACKED_ENDINGS), "").lower()


def _json_rows(file: io.BufferedReader, name: str) -> Iterator[SourceRow | BrokenRow]:
    start = 0
    for number, text in _texts(file):
        try:
            if text.strip():
                yield SourceRow(name, number, _object(name, number, text, start))
        except BrokenRow as error:
            yield error
        start += len(text)


def _texts(file: io.BufferedReader) -> Iterator[tuple[int, bytes]]:
    """The lines of a JSONL file; or the items of a JSON array, or the objects of a file of such, as JSON again."""
    head: list[bytes] = []
    for line in file:
        head.append(line)
        if said := line.removeprefix(b"\xef\xbb\xbf").strip():
            if said.startswith(b"[") or (said.startswith(b"{") and not _is_json(said)):
                return _whole(b"".join([*head, *file]))
            break
    return enumerate(chain(head, file), start=1)


def _is_json(text: bytes) -> bool:
    with suppress(ValueError, RecursionError):
        json.loads(text.decode("utf-8-sig"))
        return True
    return False


def _whole(text: bytes) -> Iterator[tuple[int, bytes]]:
    """One array of objects, or objects one after another; anything else is lines, some of them broken."""
    with suppress(ValueError, RecursionError):
        items = _values(text.decode("utf-8-sig"))
        if len(items) == 1 and isinstance(items[0], list):
            [items] = items
        if items and all(isinstance(item, dict) for item in items):
            return ((number, json.dumps(item).encode()) for number, item in enumerate(items, start=1))
    return enumerate(io.BytesIO(text), start=1)


def _values(text: str) -> list[Any]:
    """JSON values that stand one after another; ValueError where something else stands."""
    values, decoder, place = [], json.JSONDecoder(), 0
    while place < len(text):
        if text[place].isspace():
            place += 1
            continue
        value, place = decoder.raw_decode(text, place)
        values.append(value)
    return values


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
    return _well_formed(values) if _SURROGATE.search(text) else values  # type: ignore[no-any-return]


_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def _well_formed(value: Any) -> Any:
    """A value without lone surrogates, which JSON can escape and nothing else can carry."""
    if isinstance(value, str):
        return well_formed(value)
    if isinstance(value, list):
        return [_well_formed(item) for item in value]
    if isinstance(value, dict):
        return {well_formed(key): _well_formed(item) for key, item in value.items()}
    return value


def _parquet_rows(path: Path, name: str) -> Iterator[SourceRow]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with readable(path), pq.ParquetFile(path) as file:
            rows = (values for batch in file.iter_batches(1024) for values in batch.to_pylist())
            yield from numbered(name, rows)
    except pa.ArrowException as error:
        raise UnreadableSource(f"{path}: not a readable Parquet file ({error}); get it again", str(error)) from None
