"""A file, a folder of files, a data set that `datasets` saved, or one of the hub, which downloads first → rows."""

import re
from collections.abc import Iterator
from pathlib import Path

from iterpref.errors import RecordError

from .files import read_rows
from .row import RefusedRows, SourceRow, UnreadableSource, numbered

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_FILE_ENDINGS = {".json", ".jsonl", ".parquet", ".gz"}


def source_rows(source: str, split: str, refused: RefusedRows) -> Iterator[SourceRow]:
    """The rows of a file, a folder or a data set; `split` is for the hub and for datasets saved with several splits.

    Raises RecordError where there is no such file or data set, or it can't be read.
    """
    if is_hub_id(source):
        return hub_rows(source, split)
    path = Path(source)
    return _folder_rows(path, split, refused) if path.is_dir() else read_rows(path, refused)


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
    yield from numbered(source, rows)


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
    return numbered(path.name, rows)
