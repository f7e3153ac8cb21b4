"""Marks that people give to pairs: lines appended to `reviews.jsonl` of a run folder; the last one on a pair counts.

A file and not a table, so that a viewer can keep a mark while another process writes to the database, and so that the
marks can be read, merged and kept under version control. A line that a killed process left half written never was.
"""

import fcntl
import json
import os
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from iterpref.errors import StoreError
from iterpref.records import ReviewMark
from iterpref.run_folder import RunFolder


def read_marks(folder: Path) -> dict[str, ReviewMark]:
    """Pair id → its last mark, taken-back ones included; {} where nobody reviewed.

    Raises:
        StoreError: A line that is no mark, or a file that can't be read.
    """
    path = RunFolder(folder).reviews
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise StoreError(f"{path}: can't be read ({error.strerror})") from None
    found: dict[str, ReviewMark] = {}
    for number, line in enumerate(lines[:-1], start=1):
        if line.strip():
            mark = _mark(line, path, number)
            found[mark.pair_id] = mark
    return found


def add_marks(folder: Path, marks: Sequence[ReviewMark]) -> None:
    """Keep marks, all of them or none; also while others do.

    Raises:
        StoreError: The folder can't be written to.
    """
    path = RunFolder(folder).reviews
    try:
        with path.open("ab+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            _cut_half_line(file.fileno())
            file.write(b"".join(json.dumps(mark.model_dump(mode="json")).encode() + b"\n" for mark in marks))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise StoreError(f"{path}: can't keep the marks there ({error.strerror}); make the run writable") from None


def add_mark(folder: Path, mark: ReviewMark) -> None:
    """Keep one mark; see `add_marks`."""
    add_marks(folder, [mark])


def _cut_half_line(file: int) -> None:
    """Leave the file with whole lines only."""
    size = os.fstat(file).st_size
    tail = os.pread(file, size, 0)
    os.ftruncate(file, tail.rfind(b"\n") + 1)


def _mark(line: bytes, path: Path, number: int) -> ReviewMark:
    try:
        return ReviewMark.model_validate(json.loads(line))
    except (ValueError, ValidationError) as error:
        why = str(error).splitlines()[0]
        raise StoreError(f"{path}: line {number} is no review mark ({why}); correct or remove the line") from None
