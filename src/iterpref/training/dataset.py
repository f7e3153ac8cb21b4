"""`pairs/*.parquet` → a tokenised dataset whose mask column TRL's reference cache knows about.

In: the pairs that the pairing stage wrote (never SQLite, so every node can read them). Out: `TokenizedPairs`, with the
columns prompt_ids, chosen_ids, rejected_ids, chosen_mask, rejected_mask, and length (for sampling by length).
The masks are data, drawn once per pair: TRL stores precomputed reference values under the dataset's fingerprint, which
here covers ids, masks and truncation.
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
from iterpref.records import PreferencePair, Span, fingerprint
from iterpref.training.collator import truncate
from iterpref.training.config import FocalDPOConfig
from iterpref.training.masking import check_spans
from iterpref.training.tokenization import check_tokenizer, encode_pair
from iterpref.training.variants import is_plain, widened

logger = logging.getLogger(__name__)

_COLUMNS = ("pair_id", "prompt", "chosen", "rejected", "chosen_spans", "rejected_spans", "content_hash")
_ENCODED = ("prompt_ids", "chosen_ids", "rejected_ids", "chosen_mask", "rejected_mask")
_FEATURES = Features(
    {
        **{name: List(Value("int32")) for name in _ENCODED[:3]},
        **{name: List(Value("int8")) for name in _ENCODED[3:]},
        "length": Value("int32"),
        "outcome": Value("string"),
    }
)
# Why a pair isn't trained on; the keys of TrainSummary.dropped.
EMPTY, EMPTY_ADDED, LONG_PROMPT = "no_focal_token", "no_added_token", "prompt_fills_max_length"


@dataclass(frozen=True)
class TokenizedPairs:
    """Pairs ready for the trainer, what was left out and why, and how many were cut to `max_length`."""

    dataset: Dataset
    dropped: dict[str, int]
    truncated: int


def read_pairs(path: Path) -> Dataset:
    """Read one Parquet file, or all of a folder in the order of their names, and check every pair.

    Raises:
        RecordError: Nothing to read, a missing column, or an empty completion.
        SpanError: A pair no longer matches its `content_hash`, or a span lies outside its text.
    """
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    if not files:
        raise RecordError(f"{path}: no Parquet files here; run `iterpref pair` first")
    table = pa.concat_tables([_read_table(file) for file in files], promote_options="permissive")
    if table.num_rows == 0:
        raise RecordError(f"{path}: no pairs to train on (0 rows); loosen the filters or debug more tasks")
    hashes = [_check_pair(row, f"{path}: pair {row['pair_id']}") for row in table.to_pylist()]
    return Dataset(table.drop_columns(["content_hash"]), fingerprint=fingerprint(hashes))


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


def _check_pair(row: Mapping[str, Any], where: str) -> str:
    """The pair's content hash, once text and spans are known to be what the pairing stage wrote."""
    pair = _as_pair(row, where)
    if not pair.chosen or not pair.rejected:
        raise RecordError(f"{where}: an empty completion; drop the pair")
    if pair.content_hash != row["content_hash"]:
        raise SpanError(
            f"{where}: text or spans were changed after pairing (content hash {pair.content_hash}, expected "
            f"{row['content_hash']}), so the spans can't be trusted; make the pairs again"
        )
    check_spans(pair.chosen_spans, pair.chosen, f"{where}, chosen")
    check_spans(pair.rejected_spans, pair.rejected, f"{where}, rejected")
    return pair.content_hash


def _as_pair(row: Mapping[str, Any], where: str = "") -> PreferencePair:
    try:
        fields = {name: row[name] for name in _COLUMNS if name != "content_hash"}
        return PreferencePair(**fields, task_id="", diff="", diff_version=0, render_template="")
    except ValidationError as error:
        problem = error.errors()[0]
        raise RecordError(
            f"{where}: {'.'.join(map(str, problem['loc']))}: {problem['msg']}; make the pairs again"
        ) from None


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
    outcomes = encoded["outcome"]
    dropped = {reason: n for reason, n in sorted(Counter(outcomes).items()) if reason != "kept"}
    kept = [row for row, outcome in enumerate(outcomes) if outcome == "kept"]
    if not kept:
        raise TrainingError(
            f"none of the {len(pairs)} pairs can be trained on ({_counts(dropped)}); see empty_removed and max_length"
        )
    if dropped:
        logger.warning("Left out %d of %d pairs: %s.", len(pairs) - len(kept), len(pairs), _counts(dropped))
    table = encoded.data.table.take(pa.array(kept)).drop_columns(["outcome"])
    dataset = Dataset(table, fingerprint=_content_fingerprint(table, config))
    truncated = sum(length > (config.max_length or length) for length in dataset["length"])
    return TokenizedPairs(dataset, dropped, truncated)


def _encode_row(row: Mapping[str, Any], tokenizer: Any, config: FocalDPOConfig) -> dict[str, Any]:
    pair = _as_pair(row)
    removed: Sequence[Span] = pair.rejected_spans
    if config.method == "diff_augmentation":
        removed = widened(pair.rejected, removed, f"{config.seed}:{pair.pair_id}")
    try:
        encoded = encode_pair(pair.prompt, pair.chosen, pair.rejected, removed, tokenizer, pair.chosen_spans)
    except IterPrefError as error:
        raise type(error)(f"pair {pair.pair_id}: {error}") from error
    columns = {name: getattr(encoded, name) for name in _ENCODED}
    focal = config.focal and not (config.method == "hybrid" and is_plain(pair.pair_id))
    if config.method == "sft":
        if config.sft_on == "rejected":
            columns["chosen_ids"] = columns["rejected_ids"]
        columns["rejected_ids"] = columns["rejected_mask"] = []  # never looked at
    elif not focal:
        columns["rejected_mask"] = [1] * len(columns["rejected_ids"])
    if config.method != "symmetric":
        columns["chosen_mask"] = [1] * len(columns["chosen_ids"])
    outcome = LONG_PROMPT if _prompt_fills(encoded.prompt_ids, config) else "kept"
    sides = {"rejected": (focal, config.empty_removed, EMPTY), "chosen": (True, config.empty_added, EMPTY_ADDED)}
    for side, (asked, policy, reason) in sides.items():
        if outcome == "kept" and asked and not any(_visible(columns, side, config)):
            outcome = _handle_empty(pair.pair_id, side, policy, reason, config)
            columns[f"{side}_mask"] = [1] * len(columns[f"{side}_ids"])
    length = len(columns["prompt_ids"]) + max(len(columns["chosen_ids"]), len(columns["rejected_ids"]))
    return {**columns, "length": length, "outcome": outcome}


def _visible(columns: Mapping[str, Sequence[int]], side: str, config: FocalDPOConfig) -> list[int]:
    """One row's mask after truncation."""
    mask = [0] * len(columns["prompt_ids"]) + list(columns[f"{side}_mask"])
    return truncate(mask, config.max_length, config.truncation_mode)


def _prompt_fills(prompt_ids: Sequence[int], config: FocalDPOConfig) -> bool:
    keeps_start = config.truncation_mode == "keep_start"
    return config.max_length is not None and keeps_start and len(prompt_ids) >= config.max_length


def _handle_empty(pair_id: str, side: str, policy: str, reason: str, config: FocalDPOConfig) -> str:
    if policy == "error":
        lines, key = ("D-", "empty_removed") if side == "rejected" else ("D+", "empty_added")
        raise SpanError(
            f"pair {pair_id}: no token of the {side} side is in {lines}, after truncation to max_length="
            f"{config.max_length}; raise max_length, or set {key} to drop or full"
        )
    return "kept" if policy == "full" else reason


def _content_fingerprint(table: pa.Table, config: FocalDPOConfig) -> str:
    """Hash of everything a reference value depends on, apart from the model (TRL hashes its weights)."""
    digest = hashlib.sha256(repr((config.max_length, config.truncation_mode)).encode())
    for name in _ENCODED:
        column = table[name].combine_chunks()
        digest.update(np.asarray(column.value_lengths()).tobytes())
        digest.update(np.asarray(column.flatten()).tobytes())
    return digest.hexdigest()[:16]


def _counts(dropped: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {reason}" for reason, n in dropped.items())


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
