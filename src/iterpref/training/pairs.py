"""Checked pairs → a tokenised dataset whose mask columns TRL's reference cache knows about.

In: a `datasets.Dataset` of pairs (reading.py). Out: `TokenizedPairs`, with the columns prompt_ids, chosen_ids,
rejected_ids, chosen_mask, rejected_mask (the tokens' weights), length (for sampling by length), pair_weight, and kind
(of failure, for the curriculum).
The masks are data, drawn once per pair: TRL stores precomputed reference values under the dataset's fingerprint, which
here covers ids, masks and truncation.
Not here: one row (pair_row.py), which tokens of a text a mask marks (encoding.py), which lines a method learns
(methods.py).
"""

import hashlib
import logging
import os
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
from accelerate import PartialState
from datasets import Dataset, Features, List, Value, load_from_disk

from iterpref.errors import TrainingError
from iterpref.training.config import FocalDPOConfig
from iterpref.training.encoding import check_tokenizer
from iterpref.training.pair_row import encode_row
from iterpref.training.reading import FACTS

logger = logging.getLogger(__name__)

_IDS = ("prompt_ids", "chosen_ids", "rejected_ids")
_MASKS = ("chosen_mask", "rejected_mask")
_FEATURES = Features(
    {name: List(Value("int32")) for name in _IDS}
    | {name: List(Value("float32")) for name in _MASKS}
    | {"length": Value("int32"), "pair_weight": Value("float32"), "kind": Value("string"), "outcome": Value("string")}
)


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


def _encode_row(row: Mapping[str, Any], tokenizer: Any, config: FocalDPOConfig) -> dict[str, Any]:
    facts = {"pair_weight": _pair_weight(row, config), "kind": row.get("error_type") or ""}
    return {**encode_row(row, tokenizer, config), **facts}


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
