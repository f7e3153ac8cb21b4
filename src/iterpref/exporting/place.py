"""Where an export may write: never over a file that it didn't write, and never into a run folder's own files.

A card ends in a seal, a comment that holds hashes of the card and of the data beside it. Files that still fit their
seal are an earlier export, which a new one may replace; what was edited since, or came from elsewhere, stays.
"""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

from iterpref.errors import RecordError
from iterpref.run_folder import run_of

DATA_FILE = "train.jsonl"
CARD_FILE = "README.md"
_SEAL = re.compile(r"\n<!-- iterpref export: card (\w+), data (\w+) -->\n\Z")


def check_folder(folder: Path, overwrite: bool) -> None:
    """RecordError where `folder` is a run's own, or holds a card or data that no export wrote (unless `overwrite`)."""
    _check_run(folder)
    sealed = _sealed(folder)
    foreign = [name for name in (DATA_FILE, CARD_FILE) if (folder / name).exists() and name not in sealed]
    if foreign and not overwrite:
        raise RecordError(
            f"{folder}: {' and '.join(foreign)} there was not written by iterpref export, or was changed since; "
            "choose another folder, or add --overwrite to replace it"
        )


def check_file(path: Path, ours: Callable[[str], bool], overwrite: bool) -> None:
    """RecordError where `path` is a run's own, or a file whose first line is not one of `ours` (unless `overwrite`)."""
    _check_run(path)
    if overwrite or not path.exists() or path.is_dir():  # that a folder is no file is said by who writes
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        first = file.readline()
    if first and not ours(first):
        raise RecordError(
            f"{path}: this file was not written by iterpref; choose another name, or add --overwrite to replace it"
        )


def is_trajectory(line: str) -> bool:
    """Whether a line is one of our export of trajectories."""
    return _has_keys(line, {"task", "trajectory"})


def is_call(line: str) -> bool:
    """Whether a line is one of our export of calls."""
    return _has_keys(line, {"messages", "sample_index", "completion"}, frozenset({"finish_reason"}))


def _has_keys(line: str, keys: set[str], perhaps: frozenset[str] = frozenset()) -> bool:
    try:
        values = json.loads(line)
    except ValueError:
        return False
    return isinstance(values, dict) and values.keys() - perhaps == keys


def begins_with(text: str) -> Callable[[str], bool]:
    """Whether a line begins so."""
    return lambda line: line.startswith(text)


def with_seal(card: str, data: Path) -> str:
    """The card, with what tells later that it and the data beside it are as they were written."""
    return f"{card}\n<!-- iterpref export: card {_hash(card.encode())}, data {_hash_of(data)} -->\n"


def _sealed(folder: Path) -> set[str]:
    """Names of the files that are as an export wrote them."""
    card, data = folder / CARD_FILE, folder / DATA_FILE
    text = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
    seal = _SEAL.search(text)
    if seal is None:
        return set()
    same_card = _hash(text[: seal.start()].encode()) == seal[1]
    same_data = data.is_file() and _hash_of(data) == seal[2]
    return {name for name, same in ((CARD_FILE, same_card), (DATA_FILE, same_data)) if same}


def _check_run(path: Path) -> None:
    if run := run_of(path):
        raise RecordError(f"{path}: the run {run} keeps its own files there; choose another place")


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:24]


def _hash_of(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()[:24]
