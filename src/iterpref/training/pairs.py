"""`pairs/*.parquet` → checked pairs → a tokenised dataset whose mask columns TRL's reference cache knows about.

In: a file or a folder (never SQLite, so every node can read them). Out: a `datasets.Dataset` of pairs, and of it
`TokenizedPairs`, with the columns prompt_ids, chosen_ids, rejected_ids, chosen_mask, rejected_mask, and length (for
sampling by length).
The masks are data, drawn once per pair: TRL stores precomputed reference values under the dataset's fingerprint, which
here covers ids, masks and truncation.
Not here: which tokens of a text a mask marks (encoding.py), which lines a method learns (methods.py).
"""

import hashlib
import logging
import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from accelerate import PartialState
from datasets import Dataset, Features, List, Value, load_from_disk
from pydantic import ValidationError

from iterpref.errors import IterPrefError, RecordError, SpanError, TrainingError
from iterpref.records import Prompt, Record, Span, content_hash, fingerprint
from iterpref.training.batching import truncate
from iterpref.training.config import FocalDPOConfig
from iterpref.training.encoding import check_tokenizer, encode_pair
from iterpref.training.masking import check_spans
from iterpref.training.methods import METHODS, PairSide

logger = logging.getLogger(__name__)


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
_IDS = ("prompt_ids", "chosen_ids", "rejected_ids")
_MASKS = ("chosen_mask", "rejected_mask")
_FEATURES = Features(
    {name: List(Value("int32")) for name in _IDS}
    | {name: List(Value("int8")) for name in _MASKS}
    | {"length": Value("int32"), "outcome": Value("string")}
)
# Side → what its changed lines are called, the setting for pairs without a token of them, and why they are dropped.
_WITHOUT_A_TOKEN = {
    "rejected": ("D-", "empty_removed", "no_focal_token"),
    "chosen": ("D+", "empty_added", "no_added_token"),
}


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
    return pq.read_table(file, columns=_COLUMNS)


def _check_row(row: dict[str, Any], where: str) -> str:
    """The pair's content hash, once text and spans are known to be what the pairing stage wrote."""
    expected = row.pop(_HASH)
    try:
        pair = TrainingPair.model_validate(row)
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


@dataclass(frozen=True)
class TokenizedPairs:
    """Pairs ready for the trainer, what was left out and why, and how many were cut to `max_length`."""

    dataset: Dataset
    dropped: dict[str, int]
    truncated: int


def tokenize_pairs(pairs: Dataset, tokenizer: Any, config: FocalDPOConfig) -> TokenizedPairs:
    """Encode every pair; apply `empty_removed` and `empty_added` to those without a focal token after truncation.

    A pair whose prompt alone fills `max_length` is dropped, as TRL does.

    Raises:
        SpanError: A pair has no focal token and the policy is `error`, or its spans can't be found.
        TrainingError: The tokenizer can't be used, or no pair is left.
    """
    check_tokenizer(tokenizer)
    encoded = pairs.map(
        _encode_row,
        fn_kwargs={"tokenizer": tokenizer, "config": config},
        features=_FEATURES,
        remove_columns=pairs.column_names,
        num_proc=config.dataset_num_proc,
        keep_in_memory=True,
        new_fingerprint=pairs._fingerprint,  # replaced below; saves hashing the tokenizer
        desc="Tokenizing pairs",
    )
    table, dropped = _kept(encoded)
    dataset = Dataset(table, fingerprint=_content_fingerprint(table, config))
    truncated = sum(length > (config.max_length or length) for length in dataset["length"])
    return TokenizedPairs(dataset, dropped, truncated)


def _kept(encoded: Dataset) -> tuple[pa.Table, dict[str, int]]:
    """The rows that are trained on, and how many are left out for which reason."""
    outcomes = encoded["outcome"]
    dropped = {reason: n for reason, n in sorted(Counter(outcomes).items()) if reason != "kept"}
    counts = ", ".join(f"{n} {reason}" for reason, n in dropped.items())
    kept = [row for row, outcome in enumerate(outcomes) if outcome == "kept"]
    if not kept:
        raise TrainingError(
            f"none of the {len(encoded)} pairs can be trained on ({counts}); see empty_removed and max_length"
        )
    if dropped:
        logger.warning("Left out %d of %d pairs: %s.", len(encoded) - len(kept), len(encoded), counts)
    return encoded.data.table.take(pa.array(kept)).drop_columns(["outcome"]), dropped


def _encode_row(row: Mapping[str, Any], tokenizer: Any, config: FocalDPOConfig) -> dict[str, Any]:
    pair = TrainingPair.model_validate({name: row[name] for name in TrainingPair.model_fields})
    method = METHODS[config.method]
    spans: dict[str, Sequence[Span] | None] = {
        side: mask(PairSide(pair.pair_id, getattr(pair, side), getattr(pair, f"{side}_spans"), config.seed))
        for side, mask in method.masks.items()
    }
    try:
        encoded = encode_pair(pair.prompt, pair.chosen, pair.rejected, spans["rejected"], tokenizer, spans["chosen"])
    except IterPrefError as error:
        raise type(error)(f"pair {pair.pair_id}: {error}") from error
    columns = vars(encoded).copy()
    if not method.pairwise:  # TRL learns the chosen side; the other is never looked at
        columns |= {"chosen_ids": columns[f"{config.sft_on}_ids"], "chosen_mask": columns[f"{config.sft_on}_mask"]}
        columns |= {"rejected_ids": [], "rejected_mask": []}
        spans = {"chosen": spans[config.sft_on], "rejected": None}
    outcome = _settle(pair.pair_id, columns, [side for side in spans if spans[side] is not None], config)
    length = len(columns["prompt_ids"]) + max(len(columns["chosen_ids"]), len(columns["rejected_ids"]))
    return {**columns, "length": length, "outcome": outcome}


def _settle(pair_id: str, columns: dict[str, list[int]], focal: Sequence[str], config: FocalDPOConfig) -> str:
    """Why the pair is left out, or `kept`; a focal side that is taken in full instead gets its mask here."""
    prompt = len(columns["prompt_ids"])
    if config.max_length is not None and prompt >= config.max_length and config.truncation_mode == "keep_start":
        return "prompt_fills_max_length"
    for side, (lines, key, reason) in _WITHOUT_A_TOKEN.items():
        mask = [0] * prompt + columns[f"{side}_mask"]
        if side not in focal or any(truncate(mask, config.max_length, config.truncation_mode)):
            continue
        if getattr(config, key) == "drop":
            return reason
        if getattr(config, key) == "error":
            raise SpanError(
                f"pair {pair_id}: no token of the {side} side is in {lines}, after truncation to max_length="
                f"{config.max_length}; raise max_length, or set {key} to drop or full"
            )
        columns[f"{side}_mask"] = [1] * len(columns[f"{side}_ids"])
    return "kept"


def _content_fingerprint(table: pa.Table, config: FocalDPOConfig) -> str:
    """Hash of everything a reference value depends on, apart from the model (TRL hashes its weights)."""
    digest = hashlib.sha256(repr((config.max_length, config.truncation_mode)).encode())
    for name in (*_IDS, *_MASKS):
        column = table[name].combine_chunks()
        digest.update(np.asarray(column.value_lengths()).tobytes())
        digest.update(np.asarray(column.flatten()).tobytes())
    return digest.hexdigest()[:16]


def on_disk(dataset: Dataset, folder: Path) -> Dataset:
    """The dataset backed by a file, next to which TRL keeps its reference values for all processes and later runs."""
    target = folder / dataset._fingerprint
    with PartialState().main_process_first():
        if not target.exists():
            staging = folder / f".{uuid4().hex}"
            dataset.save_to_disk(staging)
            try:
                os.replace(staging, target)
            except OSError:  # another process was faster
                shutil.rmtree(staging)
    return load_from_disk(str(target))
