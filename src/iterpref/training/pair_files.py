"""`pairs/*.parquet` → a dataset of pairs that are known to be what the pairing stage wrote.

In: a file or a folder (never SQLite, so every node can read them). Out: a `datasets.Dataset` with one row per pair, and
its rows as `TrainingPair`s.
Not here: what becomes of the pairs (tokenized.py), other columns that the pairing stage writes.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset
from pydantic import ValidationError

from iterpref.errors import RecordError, SpanError
from iterpref.records import Message, Prompt, Record, Span, content_hash, fingerprint
from iterpref.training.masking import check_spans

_HASH = "content_hash"


class TrainingPair(Record):
    """What training reads of a preference pair."""

    pair_id: str
    prompt: Prompt
    chosen: str
    rejected: str
    chosen_spans: tuple[Span, ...]
    rejected_spans: tuple[Span, ...]

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Self:
        """A row of `read_pairs`, which has checked it."""
        prompt = row["prompt"]
        if not isinstance(prompt, str):
            prompt = tuple(Message.model_construct(**message) for message in prompt)
        spans = {
            side: tuple(Span.model_construct(**span) for span in row[side])
            for side in ("chosen_spans", "rejected_spans")
        }
        return cls.model_construct(**{**row, **spans, "prompt": prompt})


_COLUMNS = (*TrainingPair.model_fields, _HASH)


def read_pairs(path: str | Path) -> Dataset:
    """Read one Parquet file, or all of a folder in the order of their names, and check every pair.

    Raises:
        RecordError: Nothing to read, a missing column, or an empty completion.
        SpanError: A pair no longer matches its `content_hash`, or a span lies outside its text.
    """
    path = Path(path)
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    if not files:
        raise RecordError(f"{path}: no Parquet files here; run `iterpref pair` first")
    table = pa.concat_tables([_read_table(file) for file in files], promote_options="permissive")
    if table.num_rows == 0:
        raise RecordError(f"{path}: no pairs to train on (0 rows); loosen the filters or debug more tasks")
    hashes = [_check_row(row, f"{path}: pair {row['pair_id']}") for row in table.to_pylist()]
    return Dataset(table.drop_columns([_HASH]), fingerprint=fingerprint(hashes))


def _read_table(file: Path) -> pa.Table:
    try:
        schema = pq.read_schema(file)
    except (OSError, pa.ArrowInvalid) as error:
        raise RecordError(f"{file}: can't be read as Parquet ({error}); run `iterpref pair` again") from None
    missing = [name for name in _COLUMNS if name not in schema.names]
    if missing:
        raise RecordError(
            f"{file}: column {', '.join(missing)} missing, got {', '.join(schema.names)}; expected pairs as "
            "`iterpref pair` writes them (import other preference data with `iterpref import`)"
        )
    return pq.read_table(file, columns=list(_COLUMNS))


def _check_row(row: dict[str, Any], where: str) -> str:
    """The pair's content hash, once text and spans are known to be what the pairing stage wrote."""
    expected = row.pop(_HASH)
    pair = _parse(row, where)
    if not pair.chosen or not pair.rejected:
        raise RecordError(f"{where}: an empty completion; drop the pair")
    found = content_hash(pair.prompt, pair.chosen, pair.rejected, pair.chosen_spans, pair.rejected_spans)
    if found != expected:
        raise SpanError(
            f"{where}: text or spans were changed after pairing (content hash {found}, expected {expected}), so the "
            "spans can't be trusted; make the pairs again"
        )
    check_spans(pair.chosen_spans, pair.chosen, f"{where}, chosen")
    check_spans(pair.rejected_spans, pair.rejected, f"{where}, rejected")
    return found


def _parse(row: Mapping[str, Any], where: str) -> TrainingPair:
    try:
        return TrainingPair.model_validate(row)
    except ValidationError as error:
        problem = error.errors()[0]
        path = ".".join(map(str, problem["loc"]))
        raise RecordError(f"{where}: {path}: {problem['msg']}; make the pairs again") from None
