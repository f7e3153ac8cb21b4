"""CSV and TSV → rows: the first line names the columns, and every value is text, an empty one included."""

import csv
import io
import sys
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from .row import BrokenRow, SourceRow, UnreadableSource

if TYPE_CHECKING:
    from _csv import Reader as Lines

DELIMITERS = {".csv": ",", ".tsv": "\t"}


def table_rows(file: io.BufferedReader, name: str, delimiter: str) -> Iterator[SourceRow | BrokenRow]:
    """The rows under the header, each with the number of the line it begins on; raises UnreadableSource."""
    csv.field_size_limit(sys.maxsize)  # a program may be longer than the 128 KiB that are allowed otherwise
    header = file.peek(1 << 12).split(b"\n", 1)[0]
    if delimiter.encode() not in header and b";" in header:
        delimiter = ";"  # as spreadsheets write it where the comma is the decimal mark
    with io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
        try:
            yield from _rows(csv.reader(text, delimiter=delimiter, strict=True), name)
        except UnicodeDecodeError:
            reason = "not UTF-8 text"
            raise UnreadableSource(f"{name}: {reason}; save the table as UTF-8", reason) from None


def _rows(lines: "Lines", name: str) -> Iterator[SourceRow | BrokenRow]:
    try:
        columns: list[str] = next(lines, [])
    except csv.Error as error:
        reason = f"its first line doesn't name columns ({error})"
        raise UnreadableSource(f"{name}: {reason}; is this a table, as its ending says?", reason) from None
    if repeated := [column for column, count in Counter(columns).items() if count > 1]:
        reason = f"two columns are named {repeated[0]!r}"
        raise UnreadableSource(f"{name}: {reason}; give each its own name", reason)
    while True:
        number = lines.line_num + 1
        try:
            values = next(lines)
        except StopIteration:
            return
        except csv.Error as error:
            yield BrokenRow(name, number, str(error), f"not a row of a table ({error})")
            continue
        if len(values) == len(columns):
            yield SourceRow(name, number, dict(zip(columns, values, strict=True)))
        elif values:  # an empty line is none
            reason = f"{len(values)} values, and the header names {len(columns)} columns"
            yield BrokenRow(name, number, reason, f"{reason}; put values that hold the delimiter into quotes")
