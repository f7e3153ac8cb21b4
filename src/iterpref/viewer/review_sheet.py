"""Kept pairs, drawn by a seed → a sheet for a person: one HTML page to read, one CSV file to fill in beside it.

Both hold the same pairs under the same numbers. Marks that were given before are filled in. Not here: what was filled
in, read back (review_marks.py).
"""

import csv
import io
import random
import shlex
from dataclasses import dataclass
from pathlib import Path

from iterpref.errors import RecordError, StoreError
from iterpref.files import write_text
from iterpref.records import PreferencePair, ReviewMark, fingerprint
from iterpref.run_folder import RunFolder
from iterpref.store import Store, read_marks

from .examples import example_of
from .rendering import static_page
from .review_marks import COLUMNS, rows_of
from .texts import TextRoom

_TEXT, _LINES, _PAGE = 20_000, 500, 50_000_000  # characters and lines of one text, bytes of all on the page
_GROUP = 10  # pairs under one entry of the page's index


@dataclass(frozen=True)
class Sheet:
    """The two files, and how many of the kept pairs they hold."""

    page: Path
    table: Path
    pairs: int
    kept: int


def write_sheet(store: Store, sample: int, seed: int = 0) -> Sheet:
    """Draw at most `sample` kept pairs and write `review/seed-SEED.html` and `.csv` into the run.

    Raises:
        StoreError: No pair is kept, or the files can't be written.
        RecordError: A table of this name holds words that were not read yet.
    """
    kept = store.kept_pair_ids()
    if not kept:
        raise StoreError(f"{store.folder}: no kept pairs to review; iterpref pair makes them")
    chosen = random.Random(fingerprint([seed, "review"])).sample(kept, min(sample, len(kept)))
    pairs = [pair for name in chosen if (pair := store.pair(name)) is not None]
    folder = RunFolder(store.folder).review
    page, table = folder / f"seed-{seed}.html", folder / f"seed-{seed}.csv"
    marks = read_marks(store.folder)
    _refuse_unread(table, marks, store.folder)
    try:
        folder.mkdir(exist_ok=True)
        write_text(page, _page(store, pairs, table), errors="backslashreplace")
        write_text(table, _table(pairs, marks), errors="backslashreplace")
    except OSError as error:
        raise StoreError(f"{folder}: can't write the sheet there ({error.strerror}); make the run writable") from None
    return Sheet(page, table, len(pairs), len(kept))


def _refuse_unread(table: Path, marks: dict[str, ReviewMark], run: Path) -> None:
    """A person's work is not written over."""
    rows = rows_of(table) if table.is_file() else []
    unread = [row for row in rows if (row.mark or row.note) and not row.is_in(marks)]
    if unread:
        raise RecordError(
            f"{table}: {len(unread)} of its marks and notes are not in the run yet, the first in row {unread[0].line}; "
            f"read them (iterpref review --run {shlex.quote(str(run))} --read {shlex.quote(str(table))}), remove the "
            "file, or draw with another --seed"
        )


def _table(pairs: list[PreferencePair], marks: dict[str, ReviewMark]) -> str:
    """With the mark that spreadsheets know UTF-8 by."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for number, pair in enumerate(pairs, start=1):
        given = marks.get(pair.pair_id)
        mine = given if given is not None and given.content_hash == pair.content_hash else None
        words = (mine.mark, mine.note) if mine else ("", "")
        writer.writerow((number, *words, pair.pair_id, pair.content_hash))
    return f"\ufeff{text.getvalue()}"


def _page(store: Store, pairs: list[PreferencePair], table: Path) -> str:
    starts = range(0, len(pairs), _GROUP)
    return static_page(
        "review.html.jinja",
        TextRoom(_TEXT, _LINES, _PAGE),
        examples=[example_of(store, pair) for pair in pairs],
        sections=[(f"pair-{at + 1}", f"{at + 1}–{min(at + _GROUP, len(pairs))}") for at in starts],
        run=store.folder.resolve().name,
        run_path=shlex.quote(str(store.folder)),
        table=table.name,
        table_path=shlex.quote(str(table)),
    )
