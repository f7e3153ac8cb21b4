"""A source of pairs or tasks → rows: JSONL, Parquet, a folder of either, or a data set saved or on the hub.

Streamed, but for the hub, which downloads into the cache of `datasets` first. Not here: columns (`pairs.py`,
`mapped.py`).
"""

from collections.abc import Iterator
from pathlib import Path

from iterpref.errors import RecordError
from iterpref.importing.rows import Refused, Row, is_hub_id, read_rows

BATCH = 1024  # rows of a Parquet file held at once


def source_rows(source: str, split: str, refused: Refused) -> Iterator[Row]:
    """The rows of a source; `split` is for the hub and for datasets saved with several splits.

    Raises:
        RecordError: No such file or data set, or one that can't be read.
    """
    path = Path(source)
    if is_hub_id(source):
        return _hub_rows(source, split)
    if path.is_dir():
        return _folder_rows(path, split, refused)
    return _parquet_rows(path, path.name) if path.suffix == ".parquet" else read_rows(path, refused)


def _folder_rows(path: Path, split: str, refused: Refused) -> Iterator[Row]:
    """A data set as `save_to_disk` writes it, or files of one kind."""
    if (path / "state.json").is_file() or (path / "dataset_dict.json").is_file():
        return _saved_rows(path, split)
    if files := sorted(path.rglob("*.parquet")):
        return (row for file in files for row in _parquet_rows(file, str(file.relative_to(path))))
    if files := sorted(path.rglob("*.jsonl")):
        return (row for file in files for row in read_rows(file, refused))
    raise RecordError(f"{path}: no *.parquet and no *.jsonl in this folder; give such a folder, or a file")


def _saved_rows(path: Path, split: str) -> Iterator[Row]:
    try:
        from datasets import DatasetDict, load_from_disk
    except ImportError:
        raise RecordError(f"{path}: reading it needs the datasets package (pip install 'iterpref[train]')") from None
    rows = load_from_disk(str(path))
    if isinstance(rows, DatasetDict):
        if split not in rows:
            raise RecordError(f"{path}: no split {split}; it has {', '.join(rows)} (importing.split)")
        rows = rows[split]
    return (Row(path.name, number, dict(values)) for number, values in enumerate(rows, start=1))


def _parquet_rows(path: Path, name: str) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            number = 0
            for batch in file.iter_batches(BATCH):
                for values in batch.to_pylist():
                    number += 1
                    yield Row(name, number, values)
    except OSError as error:
        raise RecordError(f"{path}: can't read this file ({error.strerror or error}); check the path") from None
    except pa.ArrowException as error:
        raise RecordError(f"{path}: not a readable Parquet file ({error}); get it again") from None


def _hub_rows(source: str, split: str) -> Iterator[Row]:
    """Rows of a data set by its hub id; `datasets` keeps the download in its cache."""
    try:
        from datasets import load_dataset
    except ImportError:
        raise RecordError(
            f"{source}: no such file here, and reading it from the hub needs the datasets package "
            "(pip install 'iterpref[train]'); or give a file"
        ) from None
    try:
        rows = load_dataset(source, split=split)
    except Exception as error:  # the hub's client has no common base for its many errors
        reason = str(error).strip().split("\n", 1)[0]
        raise RecordError(
            f"{source}: no such file here, and the hub gave no data set of this name, split {split} "
            f"({type(error).__name__}: {reason}); check the name and the network, or download it and give the file"
        ) from error
    for number, values in enumerate(rows, start=1):
        yield Row(source, number, dict(values))
