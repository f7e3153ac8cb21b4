"""Pairs in one format → a folder with `train.jsonl` and its card; streamed, each file whole or not at all.

JSON lines, not Parquet: rows of ms-swift have messages of different shapes, and every trainer named here reads JSONL.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from iterpref.errors import RecordError
from iterpref.exporting.formats import ExportFormat
from iterpref.files import whole, write_text
from iterpref.records import PreferencePair

DATA_FILE = "train.jsonl"
CARD_FILE = "README.md"


@dataclass(frozen=True)
class Export:
    """Pairs written for another trainer; `focal` says whether their wrong lines survive there."""

    pairs: int
    folder: str
    format: str
    focal: str
    url: str = ""


def write_export(folder: Path, pairs: Iterable[PreferencePair], target: ExportFormat, card: str) -> int:
    """Write pairs and card; returns how many pairs.

    Raises:
        RecordError: A pair doesn't fit the format, there are none, or the folder can't be written; then nothing there
            was changed.
    """
    written = 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with whole(folder / DATA_FILE) as partial, partial.open("w", encoding="ascii") as file:
            for pair in pairs:
                # Escaped: a program may hold a lone surrogate, which UTF-8 can't carry.
                file.write(json.dumps(target.row(pair)) + "\n")
                written += 1
            if not written:
                raise RecordError(f"{folder}: no pairs to export; make some first (iterpref pair)")
            write_text(folder / CARD_FILE, card + "\n")
    except OSError as error:
        raise RecordError(f"{folder}: can't write there ({error.strerror}); choose another folder") from None
    return written
