"""Files and data sets of JSON objects → rows, each with the place it came from. Not here: what the fields mean.

In: JSONL, gzipped or not, one JSON array, Parquet, a folder of these, a data set that `datasets` saved, or one on the
hub. Out: `SourceRow`s, streamed (but for an array, and the hub, which downloads first). With `RefusedRows` a row that
can't be used does not stop the others: all are raised together at the end.
"""

import gzip
import io
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from iterpref.errors import IterPrefError, RecordError

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_FILE_ENDINGS = {".json", ".jsonl", ".parquet", ".gz"}


class UnreadableSource(RecordError):
    """A file or data set that can't be read at all; `reason` is the system's word."""

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class BrokenRow(RecordError):
    """A line that is no JSON object: its number, what is wrong, and its value where it is JSON of another kind; of a
    line that is no UTF-8, the offset in the file of the first `byte` that is none."""

    byte: int | None = None

    def __init__(self, where: str, number: int, reason: str, message: str, value: Any = None) -> None:
        super().__init__(f"{where}:{number}: {message}")
        self.number, self.reason, self.value = number, reason, value


class SourceRow(NamedTuple):
    source: str
    number: int
    values: dict[str, Any]

    @property
    def where(self) -> str:
        """`runs.jsonl:3`."""
        return f"{self.source}:{self.number}"


@dataclass
class RefusedRows:
    """Rows that can't be used: counted, the first few kept word for word."""

    source: str
    count: int = 0
    shown: list[str] = field(default_factory=list)

    def add(self, error: IterPrefError) -> None:
        self.count += 1
        if len(self.shown) < 5:
            self.shown.append(str(error))

    def check(self, kept: str) -> None:
        """Raise a RecordError of the first few refused rows, if any; `kept` says what was imported nevertheless."""
        if self.count == 1:
            raise RecordError(f"{self.shown[0]}\nThe other rows are imported ({kept}); fix this one and import again.")
        if self.count:
            more = [f"… and {self.count - len(self.shown)} more"] if self.count > len(self.shown) else []
            rows = "\n  ".join([f"{self.source}: {self.count} rows can't be used:", *self.shown, *more])
            raise RecordError(f"{rows}\nThe other rows are imported ({kept}); fix these and import again.")


def source_rows(source: str, split: str, refused: RefusedRows) -> Iterator[SourceRow]:
    """The rows of a file, a folder or a data set; `split` is for the hub and for datasets saved with several splits.

    Raises RecordError where there is no such file or data set, or it can't be read.
    """
    if is_hub_id(source):
        return hub_rows(source, split)
    path = Path(source)
    return _folder_rows(path, split, refused) if path.is_dir() else read_rows(path, refused)


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


def is_hub_id(source: str) -> bool:
    """Whether a source is meant as `owner/name` on the hub: nothing of that name is here, and it names no file type."""
    path = Path(source)
    return not path.exists() and path.suffix not in _FILE_ENDINGS and bool(_HUB_ID.fullmatch(source))


def hub_rows(source: str, split: str, config: str | None = None, revision: str | None = None) -> Iterator[SourceRow]:
    """Rows of a data set by its hub id, kept in the cache of `datasets`; raises UnreadableSource if it can't be had."""
    try:
        from datasets import load_dataset
    except ImportError:
        raise UnreadableSource(
            f"{source}: no such file here, and reading it from the hub needs the datasets package "
            "(pip install 'iterpref[train]'); or give a file"
        ) from None
    try:
        rows = load_dataset(source, config, split=split, revision=revision)
    except Exception as error:  # the hub's client has no common base for its many errors
        reason = str(error).strip().split("\n", 1)[0] or type(error).__name__
        raise UnreadableSource(
            f"{source}: no such file here, and the hub gave no data set of this name, split {split} "
            f"({type(error).__name__}: {reason}); check the name and the network, or download it and give the file",
            reason,
        ) from error
    yield from _numbered(source, rows)


def explain(where: str, error: ValidationError) -> RecordError:
    """The first thing wrong with a row, in one line."""
    problem = error.errors()[0]
    name = ".".join(str(part) for part in problem["loc"])
    others = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    got = "" if problem["type"] in {"missing", "value_error"} else f", got {_kind(problem['input'])}"
    message = problem["msg"].removeprefix("Value error, ")
    return RecordError(f"{where}: {f'{name}: ' if name else ''}{message}{got}{others}")


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
        message = f"expected a JSON object, got {_kind(values)}"
        raise BrokenRow(name, number, message, message, value=values)
    return values


def _folder_rows(path: Path, split: str, refused: RefusedRows) -> Iterator[SourceRow]:
    """A data set as `save_to_disk` writes it, or files of one kind."""
    if (path / "state.json").is_file() or (path / "dataset_dict.json").is_file():
        return _saved_rows(path, split)
    if files := sorted(path.rglob("*.parquet")):
        return (row for file in files for row in read_rows(file, refused, str(file.relative_to(path))))
    if files := sorted(path.rglob("*.jsonl")):
        return (row for file in files for row in read_rows(file, refused))
    raise RecordError(f"{path}: no *.parquet and no *.jsonl in this folder; give such a folder, or a file")


def _saved_rows(path: Path, split: str) -> Iterator[SourceRow]:
    try:
        from datasets import DatasetDict, load_from_disk
    except ImportError:
        raise RecordError(f"{path}: reading it needs the datasets package (pip install 'iterpref[train]')") from None
    rows = load_from_disk(str(path))
    if isinstance(rows, DatasetDict):
        if split not in rows:
            raise RecordError(f"{path}: no split {split}; it has {', '.join(rows)} (importing.split)")
        rows = rows[split]
    return _numbered(path.name, rows)


def _parquet_rows(path: Path, name: str) -> Iterator[SourceRow]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with _readable(path), pq.ParquetFile(path) as file:
            rows = (values for batch in file.iter_batches(1024) for values in batch.to_pylist())
            yield from _numbered(name, rows)
    except pa.ArrowException as error:
        raise UnreadableSource(f"{path}: not a readable Parquet file ({error}); get it again", str(error)) from None


def _numbered(source: str, rows: Iterable[Mapping[str, Any]]) -> Iterator[SourceRow]:
    return (SourceRow(source, number, dict(values)) for number, values in enumerate(rows, start=1))


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


def _kind(value: object) -> str:
    names = {list: "a list", str: "a text", bool: "a truth value", int: "a number", float: "a number"}
    return names.get(type(value), "null" if value is None else type(value).__name__)
