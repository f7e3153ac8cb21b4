"""A source of preference pairs → rows: JSONL, Parquet, a folder of Parquet, or a data set of the Hugging Face hub.

Streamed, but for the hub, which downloads into the cache of `datasets` first. Not here: columns (`pairs.py`).
"""

from collections.abc import Iterator
from pathlib import Path

from iterpref.errors import RecordError
from iterpref.importing.rows import Refused, Row, is_hub_id, read_rows

BATCH = 1024  # rows of a Parquet file held at once


def pair_rows(source: str, split: str, refused: Refused) -> Iterator[Row]:
    """The rows of a source; `split` is for the hub alone.

    Raises:
        RecordError: No such file or data set, or one that can't be read.
    """
    path = Path(source)
    if is_hub_id(source):
        return _hub_rows(source, split)
    if path.is_dir():
        files = sorted(path.rglob("*.parquet"))
        if not files:
            raise RecordError(
                f"{path}: no *.parquet file in this folder; give a JSONL or Parquet file or such a folder"
            )
        return (row for file in files for row in _parquet_rows(file, str(file.relative_to(path))))
    return _parquet_rows(path, path.name) if path.suffix == ".parquet" else read_rows(path, refused)


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
