"""A file of JSON objects → rows, each with the place it came from; and which kind of file it is.

In: JSONL, or one JSON array of objects. Out: `Row`s, streamed. A row that can't be used does not stop the others: it is
noted in `Refused`, and all of them are raised together when the file has been read.
Not here: Parquet and the hub (`pairs.py`), what the fields mean (`runs.py`, `pairs.py`).
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import ValidationError

from iterpref.errors import IterPrefError, RecordError

Format = Literal["recorded", "export", "tasks", "pairs"]

EXPECTED: dict[Format, tuple[str, ...]] = {
    "recorded": ("task_id", "prompt", "test", "versions"),
    "export": ("task", "trajectory"),
    "tasks": ("task_id", "prompt", "tests", "style"),
    "pairs": ("prompt", "chosen", "rejected"),
}
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_FILE_ENDINGS = {".json", ".jsonl", ".parquet"}


class Row(NamedTuple):
    """One object, and where it stands."""

    source: str
    number: int
    values: dict[str, Any]

    @property
    def where(self) -> str:
        """For messages: `runs.jsonl:3`."""
        return f"{self.source}:{self.number}"


@dataclass
class Refused:
    """Rows that can't be used: counted, the first few kept word for word."""

    source: str
    count: int = 0
    shown: list[str] = field(default_factory=list)

    def add(self, error: IterPrefError) -> None:
        self.count += 1
        if len(self.shown) < 5:
            self.shown.append(str(error))

    def check(self, kept: str) -> None:
        """Raise if any row was refused; `kept` says what was imported nevertheless.

        Raises:
            RecordError: With the message of the first few rows.
        """
        if not self.count:
            return
        if self.count == 1:
            raise RecordError(f"{self.shown[0]}\nThe other rows are imported ({kept}); fix this one and import again.")
        more = f"\n  … and {self.count - len(self.shown)} more" if self.count > len(self.shown) else ""
        rows = "\n  ".join(self.shown)
        raise RecordError(
            f"{self.source}: {self.count} rows can't be used:\n  {rows}{more}\n"
            f"The other rows are imported ({kept}); fix these and import again."
        )


def detect_format(source: str, columns: Mapping[str, str] | None = None) -> Format:
    """What a source holds, by its ending or the keys of its first row.

    Args:
        source: A file, a folder of Parquet, or a hub data set id (`owner/name`).
        columns: Other names of the pair columns, as in `import_pairs`.

    Raises:
        RecordError: No such file, no row, or keys that fit no format.
    """
    path = Path(source)
    if is_hub_id(source) or path.is_dir() or path.suffix == ".parquet":
        return "pairs"
    refused = Refused(path.name)
    row = next(iter(read_rows(path, refused)), None)
    if refused.count:  # the first rows are broken, so their keys can't be known
        raise RecordError(refused.shown[0])
    if row is None:
        raise RecordError(f"{path}: no rows; expected one JSON object a line")
    names = {**EXPECTED, "pairs": tuple((columns or {}).get(key, key) for key in ("chosen", "rejected"))}
    for kind, keys in names.items():
        if row.values.keys() >= set(keys):
            return kind
    known = "; ".join(f"{kind}: {', '.join(keys)}" for kind, keys in EXPECTED.items())
    raise RecordError(
        f"{row.where}: unknown format, its keys are {', '.join(row.values) or 'none'}; expected one of: {known}. "
        "Pairs under other names: --column prompt=NAME"
    )


def is_hub_id(source: str) -> bool:
    """Whether a source is meant as `owner/name` on the hub: nothing of that name is here, and it names no file type."""
    missing = not Path(source).exists()
    return missing and bool(_HUB_ID.fullmatch(source)) and Path(source).suffix not in _FILE_ENDINGS


def read_rows(path: Path, refused: Refused) -> Iterator[Row]:
    """The objects of a JSONL file or of a JSON array; broken lines go to `refused`.

    Raises:
        RecordError: The file can't be read.
    """
    try:
        with path.open("rb") as file:
            lead = file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()
            file.seek(0)
            numbered = _array(file.read()) if lead.startswith(b"[") else enumerate(file, start=1)
            for number, text in numbered:
                try:
                    if text.strip():
                        yield Row(path.name, number, _object(f"{path.name}:{number}", text))
                except RecordError as error:
                    refused.add(error)
    except OSError as error:
        raise RecordError(f"{path}: can't read this file ({error.strerror}); check the path") from None


def count_lines(path: Path) -> int:
    """Lines of a file, for progress.

    Raises:
        RecordError: The file can't be read.
    """
    try:
        with path.open("rb") as file:
            return sum(1 for _ in file)
    except OSError as error:
        raise RecordError(f"{path}: can't read this file ({error.strerror}); check the path") from None


def batches(rows: Iterator[Row], size: int) -> Iterator[list[Row]]:
    """Rows in lists of `size`, the last one shorter."""
    while batch := list(islice(rows, size)):
        yield batch


def _array(text: bytes) -> Iterator[tuple[int, bytes]]:
    """The items of a JSON array, numbered from 1, each as JSON again, so that one path reads both layouts."""
    try:
        items = json.loads(text.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return enumerate(text.split(b"\n"), start=1)  # not one array: perhaps lines that start with a list
    return ((number, json.dumps(item).encode()) for number, item in enumerate(items, start=1))


def _object(where: str, text: bytes) -> dict[str, Any]:
    try:
        values = json.loads(text.decode("utf-8-sig").rstrip())
    except UnicodeDecodeError as error:
        raise RecordError(f"{where}: not UTF-8 text (byte {error.start} of the line); expected a JSON object") from None
    except (ValueError, RecursionError) as error:
        hint = (
            "; this is a Git LFS pointer, fetch the file itself" if text.startswith(b"version https://git-lfs") else ""
        )
        reason = f"{error.msg}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else str(error)
        raise RecordError(f"{where}: not valid JSON ({reason}); expected one object a line{hint}") from None
    if not isinstance(values, dict):
        raise RecordError(f"{where}: expected a JSON object, got {_kind(values)}")
    return values


def _kind(value: object) -> str:
    names = {list: "a list", str: "a text", bool: "a truth value", int: "a number", float: "a number"}
    return names.get(type(value), "null" if value is None else type(value).__name__)


def explain(where: str, error: ValidationError) -> RecordError:
    """The first thing wrong with a row, in one line."""
    problem = error.errors()[0]
    name = ".".join(str(part) for part in problem["loc"])
    others = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    got = "" if problem["type"] in {"missing", "value_error"} else f", got {_kind(problem['input'])}"
    message = problem["msg"].removeprefix("Value error, ")
    return RecordError(f"{where}: {f'{name}: ' if name else ''}{message}{got}{others}")
