"""A table that a person filled in → review marks of the run, as `iterpref view` keeps them.

All rows are read and checked before the first mark is kept. Reading a table again changes nothing. A row without a word
takes no mark back.
"""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from iterpref.analysis.reviews import Agreement, agreement
from iterpref.errors import RecordError
from iterpref.pairing import judgement_key
from iterpref.records import PreferencePair, ReviewMark, Word, well_formed
from iterpref.store import Store, add_marks, read_marks

COLUMNS = ("number", "mark", "note", "pair_id", "content_hash")
_WORDS = ("accept", "reject", "")
_DELIMITERS = ",;\t"  # as spreadsheets of different languages write them
_MOST_SAID = 5


@dataclass(frozen=True)
class SheetRow:
    """One row of a table; `line` is the one of the file in which it ends."""

    line: int
    mark: str
    note: str
    pair_id: str
    content_hash: str

    def is_in(self, marks: Mapping[str, ReviewMark]) -> bool:
        """Whether the last mark on its pair says this already."""
        last = marks.get(self.pair_id)
        return last is not None and (last.mark, last.note, last.content_hash) == (
            self.word(last), self.note, self.content_hash)  # fmt: skip

    def word(self, last: ReviewMark | None) -> Word:
        """Accept or reject; without a word that of the last mark on the same pair: a note alone changes no mark."""
        if not self.mark and last is not None and last.content_hash == self.content_hash:
            return last.mark
        return cast(Word, self.mark)


@dataclass(frozen=True)
class SheetReading:
    """Rows with a mark or a note, those that are new to the run, and rows left empty; what the marks say."""

    marks: int
    new: int
    empty: int
    said: Agreement


def read_sheet(store: Store, path: Path) -> SheetReading:
    """Keep what a table says of the run's pairs.

    Raises:
        RecordError: It can't be read, or a row names no pair of the run, has another word than accept or reject, is
            about another version of its pair, or contradicts another row. Nothing was kept then.
        StoreError: The marks can't be kept.
    """
    rows = rows_of(path)
    given = list({row.pair_id: row for row in rows if row.mark or row.note}.values())  # a row may stand there twice
    pairs = _checked(store, path, rows)
    before, at = read_marks(store.folder), datetime.now(UTC).isoformat(timespec="seconds")
    new = [row for row in given if not row.is_in(before)]
    add_marks(store.folder, [_mark(row, before, at) for row in new])
    judged = [(row.word(before.get(row.pair_id)), _judged(store, pairs[row.pair_id])) for row in given]
    return SheetReading(len(given), len(new), sum(not (row.mark or row.note) for row in rows), agreement(judged))


def rows_of(path: Path) -> list[SheetRow]:
    """The rows of a table.

    Raises:
        RecordError: No such file, no text in UTF-8, or a column is missing.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise RecordError(f"{path}: can't read this table ({error.strerror}); check the path") from None
    except UnicodeDecodeError:
        raise RecordError(f"{path}: not text in UTF-8; save it as CSV in UTF-8") from None
    head = text.partition("\n")[0]
    table = csv.reader(io.StringIO(text, newline=""), delimiter=max(_DELIMITERS, key=head.count), strict=True)
    try:
        names = [name.strip().lower() for name in next(table, [])]
        twice = [name for name in COLUMNS if names.count(name) > 1]
        if twice:
            raise RecordError(f"{path}: has the column {twice[0]} twice; remove one of them, so that it is clear which")
        missing = [name for name in COLUMNS[1:] if name not in names]
        if missing:
            raise RecordError(f"{path}: without the column {missing[0]}; its first row must name {', '.join(COLUMNS)}")
        return [_row(table.line_num, dict(zip(names, cells, strict=False))) for cells in table if any(cells)]
    except csv.Error as error:
        raise RecordError(f"{path}: line {table.line_num} is no CSV ({error}); save the table anew") from None


def _row(line: int, cells: dict[str, str]) -> SheetRow:
    word, note, pair_id, content = (cells.get(name, "") for name in COLUMNS[1:])
    note = well_formed(note.replace("\r\n", "\n").strip())
    return SheetRow(line, word.strip().lower(), note, pair_id, content.strip())


def _checked(store: Store, path: Path, rows: list[SheetRow]) -> dict[str, PreferencePair]:
    """The pairs that rows are about, if every row can be used."""
    pairs: dict[str, PreferencePair] = {}
    first: dict[str, SheetRow] = {}
    problems = []
    for row in rows:
        pair = store.pair(row.pair_id)
        problem = _problem(row, pair, first)
        if problem:
            problems.append(f"{path}: line {row.line}: {problem}")
        elif pair is not None:
            pairs[row.pair_id] = pair
        if row.mark or row.note:
            first.setdefault(row.pair_id, row)
    if problems:
        more = f"\n... and {len(problems) - _MOST_SAID} more rows" if len(problems) > _MOST_SAID else ""
        said = "\n".join(problems[:_MOST_SAID])
        raise RecordError(f"{said}{more}\nNothing was kept; correct the table and read it again")
    return pairs


def _problem(row: SheetRow, pair: PreferencePair | None, first: Mapping[str, SheetRow]) -> str:
    """Why a row can't be used; "" if it can."""
    if row.mark not in _WORDS:
        return f"mark is {row.mark!r:.60}, expected accept, reject or nothing"
    if pair is None:
        return (
            f"the run has no pair {row.pair_id!r:.200}; draw the sheet anew if pairs were made anew, or write the id "
            "back if a spreadsheet changed it"
        )
    if (row.mark or row.note) and row.content_hash != pair.content_hash:
        return (
            f"pair {row.pair_id:.200} has content_hash {row.content_hash[:40]!r}, in the run {pair.content_hash!r}: it "
            "was made anew with other text or lines since the sheet (look once more), or a spreadsheet took the hash "
            "for a number (write it back)"
        )
    other = first.get(row.pair_id)
    if other is not None and (row.mark or row.note) and (row.mark, row.note) != (other.mark, other.note):
        return f"pair {row.pair_id:.200} has another mark or note in line {other.line}; keep one of them"
    return ""


def _mark(row: SheetRow, before: Mapping[str, ReviewMark], at: str) -> ReviewMark:
    word = row.word(before.get(row.pair_id))
    return ReviewMark(pair_id=row.pair_id, content_hash=row.content_hash, mark=word, note=row.note, at=at)


def _judged(store: Store, pair: PreferencePair) -> bool | None:
    found = store.judgement(judgement_key(pair))
    return None if found is None else found[0]
