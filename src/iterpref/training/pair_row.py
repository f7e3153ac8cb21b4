"""One pair → the row that is trained on: ids and masks of both sides, or why the pair is left out. Loads no torch.

What the trainer's data set is made of (pairs.py), and what the viewer shows of a pair, by the same function.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from iterpref.errors import IterPrefError, SpanError
from iterpref.records import Span
from iterpref.training.encoding import encode_pair
from iterpref.training.methods import METHODS, PairSide
from iterpref.training.reading import TrainingPair

# Side → what its changed lines are called, the setting for pairs without a token of them, and why they are dropped.
_WITHOUT_A_TOKEN = {
    "rejected": ("D-", "empty_removed", "no_focal_token"),
    "chosen": ("D+", "empty_added", "no_added_token"),
}


class MaskSettings(Protocol):
    """What of a training's settings decides its masks; a `FocalDPOConfig` has it all."""

    @property
    def method(self) -> str: ...
    @property
    def seed(self) -> int: ...
    @property
    def sft_on(self) -> str: ...
    @property
    def empty_removed(self) -> str: ...
    @property
    def empty_added(self) -> str: ...
    @property
    def max_length(self) -> int | None: ...
    @property
    def truncation_mode(self) -> str: ...


def encode_row(row: Mapping[str, Any], tokenizer: Any, config: MaskSettings) -> dict[str, Any]:
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


def _settle(pair_id: str, columns: dict[str, list[int]], focal: Sequence[str], config: MaskSettings) -> str:
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


def truncate(row: list[int], max_length: int | None, mode: str) -> list[int]:
    """What TRL's collator keeps of a row (prompt and completion): its first or its last `max_length` tokens."""
    if max_length is None:
        return row
    return row[:max_length] if mode == "keep_start" else row[-max_length:]
