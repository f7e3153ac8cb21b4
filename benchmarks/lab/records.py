"""What finished cells leave: a small JSON file each, under the hash of everything that decides it.

work/records/KEY.json               a cell's score with the outcome of each task, or why it failed
benchmarks/data/lab/GRID.jsonl      those of a published grid, one a line; another machine can go on from them
"""

import fcntl
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from iterpref.errors import ConfigError, RecordError
from iterpref.files import write_json, write_text

Record = dict[str, Any]
PUBLISHED = Path(__file__).parents[1] / "data" / "lab"

# A task's outcome as one character. Records are kept, so a letter keeps its meaning; a new kind gets a new one.
LETTERS = {
    "": ".", "wrong output": "w", "assertion": "a", "AttributeError": "A", "KeyError": "K", "NameError": "N",
    "FileNotFoundError": "F", "TypeError": "T", "ValueError": "V", "IndexError": "I", "SyntaxError": "S",
    "ImportError": "J", "ZeroDivisionError": "Z", "RecursionError": "R", "other exception": "x", "extraction": "e",
    "refusal": "q", "timeout": "o", "memory": "m", "output limit": "l", "crash": "c", "early exit": "y",
    "tampering": "t", "unverified": "u",
}  # fmt: skip
_KINDS = {letter: kind for kind, letter in LETTERS.items()}


def packed(kinds: Iterable[str]) -> str:
    """Kinds of failure in the order of tasks, "" for a pass → a text with a character for each."""
    return "".join(LETTERS[kind] for kind in kinds)


def kinds_of(record: Record) -> list[str]:
    """The outcome of each task; "" for a pass."""
    return [_KINDS[letter] for letter in record["outcomes"]]


def passes_of(record: Record) -> list[bool]:
    return [letter == "." for letter in record["outcomes"]]


def finished(record: Record | None) -> bool:
    return record is not None and "error" not in record


def mixed(records: Iterable[Record]) -> bool:
    """Whether cells of one seed were trained on different trajectories, as those of two machines may be."""
    hashes: dict[str, set[str]] = {}
    for record in records:
        for part, made in record.get("trajectories", {}).items():
            hashes.setdefault(part, set()).add(made)
    return any(len(made) > 1 for made in hashes.values())


@contextmanager
def alone(work: Path) -> Iterator[None]:
    """No other command runs cells in this folder meanwhile: grids share cells, and two would delete each other's."""
    work.mkdir(parents=True, exist_ok=True)
    with (work / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"--work {work}: another command of the laboratory runs cells here; wait until it ends, "
                              "or choose another folder (with --from-published it begins with what is published)"
                              ) from None  # fmt: skip
        yield


class Records:
    """The records of a work folder."""

    def __init__(self, work: Path) -> None:
        self.folder = work / "records"

    def get(self, key: str) -> Record | None:
        path = self.folder / f"{key}.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None

    def put(self, record: Record) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / f"{record['key']}.json", record)

    def all(self) -> Iterator[Record]:
        for path in sorted(self.folder.glob("*.json")):
            yield json.loads(path.read_text(encoding="utf-8"))

    def take(self, published: Path = PUBLISHED) -> int:
        """Begin with the published records, where there is none yet; how many were taken.

        Raises:
            RecordError: A line of a file is no record.
        """
        taken = 0
        for path in sorted(published.glob("*.jsonl")):
            for record in read_lines(path):
                if not finished(self.get(record["key"])):
                    self.put(record)
                    taken += 1
        return taken


def read_lines(path: Path) -> Iterator[Record]:
    """The records of a published file."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            record = json.loads(line)
            record["key"]
        except (ValueError, KeyError, TypeError) as error:
            raise RecordError(f"{path}: line {number} is no record of a cell ({error!r}); restore the file") from None
        yield record


def write_lines(path: Path, records: Iterable[Record]) -> None:
    """One record a line, by key, so that a later publication differs in few lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ordered = sorted(records, key=lambda record: str(record["key"]))
    write_text(path, "".join(f"{json.dumps(record, sort_keys=True)}\n" for record in ordered))
