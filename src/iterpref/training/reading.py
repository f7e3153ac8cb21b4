"""`pairs/*.parquet` → checked pairs. In: a file or a folder (never SQLite, so every node can read them). No torch."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from iterpref.errors import RecordError, SpanError
from iterpref.packages import need_packages
from iterpref.records import Prompt, Record, Span, content_hash, fingerprint
from iterpref.training.masking import check_spans

if TYPE_CHECKING:
    from datasets import Dataset


class TrainingPair(Record):
    """What training reads of a preference pair."""

    pair_id: str
    prompt: Prompt
    chosen: str
    rejected: str
    chosen_spans: tuple[Span, ...]
    rejected_spans: tuple[Span, ...]


_HASH = "content_hash"
_COLUMNS = [*TrainingPair.model_fields, _HASH]
# What `iteration_weight` and `curriculum` read; pairs of a run have it.
FACTS = ("chosen_iteration", "rejected_iteration", "error_type")


def check_pairs_are_there(path: str | Path) -> None:
    """Refuse a file or folder without pairs, by what its files say of themselves.

    Raises:
        RecordError: No Parquet files, one that can't be read, or no rows in them.
    """
    if sum(_schema(file)[1] for file in _files(path)) == 0:
        raise RecordError(f"{path}: no pairs to train on (0 rows); `iterpref pair` says why, and what gives some")


def read_pairs(path: str | Path) -> "Dataset":
    """Read one Parquet file, or all of a folder in the order of their names, and check every pair.

    Args:
        path: `pairs/` of a run, or a file of it; pairs of arXiv:2503.02783 with their spans, as `iterpref pair` writes
            them.

    Returns:
        N rows, a pair each, for `FocalDPOTrainer`: `pair_id`, `prompt`, `chosen`, `rejected`, `chosen_spans` and
        `rejected_spans` (half-open ranges of characters), and what weighs and orders pairs, where it is known.

    Raises:
        MissingPackageError: `datasets` is not installed; the message says how to get it.
        RecordError: Nothing to read, a missing column, or an empty completion.
        SpanError: A pair no longer matches its `content_hash`, or a span lies outside its text.
    """
    check_pairs_are_there(path)
    need_packages("read_pairs", "datasets")
    from datasets import Dataset

    table = pa.concat_tables([_read_table(file) for file in _files(path)], promote_options="permissive")
    hashes = [_check_row(row, f"{path}: pair {row['pair_id']}") for row in table.to_pylist()]
    return Dataset(table.drop_columns([_HASH]), fingerprint=fingerprint(hashes))


def _files(path: str | Path) -> list[Path]:
    path = Path(path)
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    if not files or (not path.exists() and path.suffix != ".parquet"):
        raise RecordError(f"{path}: no Parquet files here, so no pairs to train on; run `iterpref pair` first")
    return files


def _schema(file: Path) -> tuple[list[str], int]:
    """The columns and the number of rows of a Parquet file."""
    try:
        metadata = pq.read_metadata(file)
    except (OSError, pa.ArrowInvalid) as error:
        raise RecordError(f"{file}: can't be read as Parquet ({error}); run `iterpref pair` again") from None
    return metadata.schema.to_arrow_schema().names, metadata.num_rows


def _read_table(file: Path) -> pa.Table:
    names = _schema(file)[0]
    missing = [name for name in _COLUMNS if name not in names]
    if missing:
        raise RecordError(
            f"{file}: column {', '.join(missing)} missing, got {', '.join(names)}; expected pairs as "
            "`iterpref pair` writes them (import other preference data with `iterpref import`)"
        )
    return pq.read_table(file, columns=[*_COLUMNS, *(name for name in FACTS if name in names)])


def _check_row(row: dict[str, Any], where: str) -> str:
    """The pair's content hash, once text and spans are known to be what the pairing stage wrote."""
    expected = row.pop(_HASH)
    try:
        pair = TrainingPair.model_validate({name: row[name] for name in TrainingPair.model_fields})
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(map(str, problem["loc"]))
        raise RecordError(f"{where}: {key}: {problem['msg']}; make the pairs again") from None
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
