"""Kept pairs → `pairs/`: Parquet that TRL and `datasets.load_dataset` read as it is, and a dataset card.

Columns `prompt, chosen, rejected` are TRL's; the spans beside them are what focal training needs.
"""

from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from iterpref.errors import RecordError
from iterpref.files import whole, write_text
from iterpref.records import PreferencePair

PARQUET, CARD = "train.parquet", "README.md"
BATCH = 1024

_SPANS = pa.list_(pa.struct([("start", pa.int64()), ("stop", pa.int64())]))
_MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
_COLUMNS = [
    ("pair_id", pa.string()),
    ("task_id", pa.string()),
    ("chosen", pa.string()),
    ("rejected", pa.string()),
    ("chosen_spans", _SPANS),
    ("rejected_spans", _SPANS),
    ("diff", pa.string()),
    ("diff_version", pa.int64()),
    ("render_template", pa.string()),
    ("trajectory_id", pa.string()),
    ("chosen_iteration", pa.int64()),
    ("rejected_iteration", pa.int64()),
    ("error_type", pa.string()),
    ("tests_hash", pa.string()),
    ("trust", pa.string()),
    ("origin", pa.string()),
    ("content_hash", pa.string()),
]


def write_dataset(folder: Path, pairs: Iterable[PreferencePair], card: Callable[[], str] = str) -> int:
    """Write kept pairs and their card (`exporting.dataset_card`) into `folder`; returns how many pairs were written.

    The card is asked for when all pairs have gone by, so that they can be counted on their way.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with whole(folder / PARQUET) as partial:
        written = _write_parquet(partial, pairs)
    write_text(folder / CARD, card() + "\n")
    return written


def _write_parquet(path: Path, pairs: Iterable[PreferencePair]) -> int:
    """Stream pairs into row groups, all prompts of the kind that the first one has: a Parquet column has one type."""
    found = map(_row, pairs)
    rows, written = list(islice(found, BATCH)), 0
    kind = type(rows[0]["prompt"]) if rows else list
    schema = pa.schema([("prompt", pa.string() if kind is str else _MESSAGES), *_COLUMNS])
    with pq.ParquetWriter(path, schema) as writer:
        while True:
            _check_prompts(rows, kind)
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))
            written += len(rows)
            if len(rows) < BATCH:
                return written
            rows = list(islice(found, BATCH))


def _check_prompts(rows: list[dict[str, Any]], kind: type) -> None:
    for row in rows:
        if not isinstance(row["prompt"], kind):
            raise RecordError(
                f"pair {row['pair_id']}: its prompt is {'text' if kind is list else 'a list of messages'}, unlike "
                "those before it, and a dataset holds one kind; import the other pairs into a run of their own, or set "
                "pairing.prompt_format"
            )


def _row(pair: PreferencePair) -> dict[str, Any]:
    values = pair.model_dump(mode="json", exclude={"filters"})
    return values | {"content_hash": pair.content_hash}
