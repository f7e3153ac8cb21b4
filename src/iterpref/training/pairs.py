"""Checked pairs → a tokenised dataset whose mask columns TRL's reference cache knows about.

In: a `datasets.Dataset` of pairs (reading.py). Out: `TokenizedPairs`, with the columns prompt_ids, chosen_ids,
rejected_ids, chosen_mask, rejected_mask (the tokens' weights), length (for sampling by length), pair_weight, and kind
(of failure, for the curriculum).
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
from accelerate import PartialState
from datasets import Dataset, Features, List, Value, load_from_disk

from iterpref.errors import IterPrefError, SpanError, TrainingError
from iterpref.line_diff import changed_words
from iterpref.records import Span
from iterpref.training.batching import truncate
from iterpref.training.config import FocalDPOConfig
from iterpref.training.encoding import check_tokenizer, encode_pair
from iterpref.training.methods import METHODS, PairSide
from iterpref.training.reading import FACTS, TrainingPair

logger = logging.getLogger(__name__)

_IDS = ("prompt_ids", "chosen_ids", "rejected_ids")
_MASKS = ("chosen_mask", "rejected_mask")
_FEATURES = Features(
    {name: List(Value("int32")) for name in _IDS}
    | {name: List(Value("float32")) for name in _MASKS}
    | {"length": Value("int32"), "pair_weight": Value("float32"), "kind": Value("string"), "outcome": Value("string")}
)
# Side → what its changed lines are called, the setting for pairs without a token of them, and why they are dropped.
_WITHOUT_A_TOKEN = {
    "rejected": ("D-", "empty_removed", "no_focal_token"),
    "chosen": ("D+", "empty_added", "no_added_token"),
}


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
    _check_facts(pairs, config)
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
    table = encoded.data.table.take(pa.array(kept)).drop_columns(["outcome"])
    weights = np.asarray(table["pair_weight"])
    at = table.schema.get_field_index("pair_weight")
    return table.set_column(at, "pair_weight", pa.array(weights / weights.mean())), dropped


def _check_facts(pairs: Dataset, config: FocalDPOConfig) -> None:
    """Refuse with a TrainingError pairs that don't say what a setting goes by."""
    needed = {
        "iteration_weight": FACTS[:2] if config.iteration_weight != 1.0 else (),
        "curriculum": FACTS[2:] if config.curriculum != "none" else (),
    }
    for key, names in needed.items():
        missing = [name for name in names if name not in pairs.column_names or None in pairs[name]]
        if missing:
            raise TrainingError(
                f"training: {key}={getattr(config, key)} goes by {' and '.join(missing)}, which these pairs "
                "(or some of them) don't say; pairs that `iterpref pair` made of trajectories do"
            )


def _pair_weight(row: Mapping[str, Any], config: FocalDPOConfig) -> float:
    if config.iteration_weight == 1.0:
        return 1.0
    distance = row["chosen_iteration"] - row["rejected_iteration"]
    if distance < 1:
        raise TrainingError(
            f"pair {row['pair_id']}: rejected is version {row['rejected_iteration']}, chosen {row['chosen_iteration']}"
            "; iteration_weight goes by how long before the passing version a failing one was written, which draws of "
            "a sampling run don't say; leave it out"
        )
    return float(config.iteration_weight ** (distance - 1))


def _encode_row(row: Mapping[str, Any], tokenizer: Any, config: FocalDPOConfig) -> dict[str, Any]:
    pair = TrainingPair.model_validate({name: row[name] for name in TrainingPair.model_fields})
    method = METHODS[config.method]
    changed = _changed(pair, config.focus)
    spans: dict[str, Sequence[Span] | None] = {
        side: focus.mask(PairSide(pair.pair_id, getattr(pair, side), changed[side], config.seed))
        for side, focus in config.sides.items()
    }
    try:
        encoded = encode_pair(pair.prompt, pair.chosen, pair.rejected, spans["rejected"], tokenizer, spans["chosen"])
    except IterPrefError as error:
        raise type(error)(f"pair {pair.pair_id}: {error}") from error
    columns = vars(encoded).copy()
    for side, focus in config.sides.items():
        columns[f"{side}_mask"] = focus.weights(columns[f"{side}_mask"])
    if not method.pairwise:  # TRL learns the chosen side; the other is never looked at
        columns |= {"chosen_ids": columns[f"{config.sft_on}_ids"], "chosen_mask": columns[f"{config.sft_on}_mask"]}
        columns |= {"rejected_ids": [], "rejected_mask": []}
        spans = {"chosen": spans[config.sft_on], "rejected": None}
    outcome = _settle(pair.pair_id, columns, [side for side in spans if spans[side] is not None], config)
    if method.mean and outcome == "kept":
        _divide(columns, config)
    length = len(columns["prompt_ids"]) + max(len(columns["chosen_ids"]), len(columns["rejected_ids"]))
    facts = {"pair_weight": _pair_weight(row, config), "kind": row.get("error_type") or ""}
    return {**columns, **facts, "length": length, "outcome": outcome}


def _changed(pair: TrainingPair, focus: str) -> dict[str, Sequence[Span]]:
    """D⁺ and D⁻, or within their lines the words that differ."""
    sides = {"chosen": (pair.chosen, pair.chosen_spans), "rejected": (pair.rejected, pair.rejected_spans)}
    if focus == "lines":
        return {side: spans for side, (_, spans) in sides.items()}
    (chosen, added), (rejected, removed) = sides.values()
    return {
        "chosen": changed_words(chosen, rejected, added, removed),
        "rejected": changed_words(rejected, chosen, removed, added),
    }


def _divide(columns: dict[str, list[Any]], config: FocalDPOConfig) -> None:
    """Make the weights of each side sum to 1 over what truncation leaves of it."""
    for name in _MASKS:
        kept = truncate([0.0] * len(columns["prompt_ids"]) + columns[name], config.max_length, config.truncation_mode)
        columns[name] = [weight / (sum(kept) or 1.0) for weight in columns[name]]


def _settle(pair_id: str, columns: dict[str, list[Any]], focal: Sequence[str], config: FocalDPOConfig) -> str:
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
    digest.update(repr([table[name].to_pylist() for name in ("pair_weight", "kind")]).encode())  # on_disk keeps them
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
