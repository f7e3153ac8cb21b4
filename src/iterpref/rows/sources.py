"""A file, a folder of files, a data set that `datasets` saved, or one of the hub, which downloads first → rows."""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from iterpref.errors import RecordError

from .files import FILE_ENDINGS, ending_of, read_rows
from .row import RefusedRows, SourceRow, UnreadableSource, numbered

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
# What a folder of data holds; JSON beside it is mostly about the data.
_IN_FOLDERS = {".parquet", ".jsonl", ".ndjson", ".csv", ".tsv"}


@dataclass(frozen=True)
class DatasetPart:
    """Which part of a hub data set is meant; of one that was saved with several splits, the split."""

    split: str = "train"
    config_name: str | None = None
    revision: str | None = None

    def __str__(self) -> str:
        named = {"split": self.split, "config": self.config_name, "revision": self.revision}
        return ", ".join(f"{name} {value}" for name, value in named.items() if value)


DEFAULT_PART = DatasetPart()


def source_rows(source: str, part: DatasetPart, refused: RefusedRows | None = None) -> Iterator[SourceRow]:
    """The rows of a file, a folder or a data set.

    Raises RecordError where there is no such file or data set, or it can't be read.
    """
    if is_hub_id(source):
        return hub_rows(source, part)
    path = Path(source)
    return _folder_rows(path, part.split, refused) if path.is_dir() else read_rows(path, refused)


def is_hub_id(source: str) -> bool:
    """Whether a source is meant as `owner/name` on the hub: nothing of that name is here, and it names no file type."""
    path = Path(source)
    return not path.exists() and path.suffix not in FILE_ENDINGS and bool(_HUB_ID.fullmatch(source))


def hub_rows(source: str, part: DatasetPart) -> Iterator[SourceRow]:
    """Rows of a data set by its hub id, kept in the cache of `datasets`; raises UnreadableSource if it can't be had."""
    try:
        from datasets import load_dataset
    except ImportError:
        raise UnreadableSource(
            f"{source}: no such file here, and reading it from the hub needs the datasets package "
            "(pip install 'iterpref[train]'); or give a file"
        ) from None
    try:
        rows = load_dataset(source, part.config_name, split=part.split, revision=part.revision)
    except Exception as error:  # the hub's client has no common base for its many errors
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = " ".join(lines[:2]) or type(error).__name__  # the second names the configurations there are
        raise UnreadableSource(
            f"{source}: no such file here, and the hub gave no data set of this name, {part} "
            f"({type(error).__name__}: {reason}); check the name"
            f"{_choice(reason)} and the network, or download it and give the file",
            reason,
        ) from error
    yield from numbered(source, rows)


def _choice(reason: str) -> str:
    return ", importing.config_name" if "onfig" in reason else ""


def _folder_rows(path: Path, split: str, refused: RefusedRows | None) -> Iterator[SourceRow]:
    """A data set as `save_to_disk` writes it, or files of one kind; several kinds are refused, as none may be lost."""
    if (path / "state.json").is_file() or (path / "dataset_dict.json").is_file():
        return _saved_rows(path, split)
    kinds: dict[str, list[Path]] = defaultdict(list)
    for file in sorted(path.rglob("*")):
        if file.is_file() and ending_of(file) in _IN_FOLDERS:
            kinds[ending_of(file)].append(file)
    if not kinds:
        raise RecordError(
            f"{path}: no *.parquet and no *.jsonl in this folder, nor *.csv; give such a folder, or a file"
        )
    if len(kinds) > 1:
        found = ", ".join(f"{len(files)} *{ending}" for ending, files in kinds.items())
        raise RecordError(f"{path}: files of several kinds ({found}); give a folder with one kind, or a file")
    [files] = kinds.values()
    return (row for file in files for row in read_rows(file, refused, str(file.relative_to(path))))


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
    return numbered(path.name, rows)
