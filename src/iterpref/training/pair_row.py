"""One pair → the row that is trained on: ids and weights of both sides, or why the pair is left out. Loads no torch.

What the trainer's data set is made of (pairs.py), and what the viewer shows of a pair, by the same function.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar

from iterpref.errors import IterPrefError, SpanError
from iterpref.line_diff import changed_words
from iterpref.records import Span
from iterpref.training.encoding import encode_pair
from iterpref.training.methods import METHODS, Focus, PairSide
from iterpref.training.reading import TrainingPair

T = TypeVar("T")
_MASKS = ("chosen_mask", "rejected_mask")
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
    @property
    def focus(self) -> str: ...
    @property
    def sides(self) -> Mapping[str, Focus]: ...


def encode_row(row: Mapping[str, Any], tokenizer: Any, config: MaskSettings) -> dict[str, Any]:
    """Columns prompt_ids (P,), chosen_ids (C,), rejected_ids (R,), the weights of the sides' tokens as chosen_mask (C,)
    and rejected_mask (R,), length, and outcome: why the pair is left out, or `kept`.

    Raises:
        SpanError: No token is in focus and the policy is `error`, or the spans can't be found.
    """
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
    return {**columns, "length": length, "outcome": outcome}


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


def _divide(columns: dict[str, list[Any]], config: MaskSettings) -> None:
    """Make the weights of each side sum to 1 over what truncation leaves of it."""
    for name in _MASKS:
        kept = truncate([0.0] * len(columns["prompt_ids"]) + columns[name], config.max_length, config.truncation_mode)
        total = sum(kept) or 1.0
        columns[name] = [weight / total for weight in columns[name]]


def _settle(pair_id: str, columns: dict[str, list[Any]], focal: Sequence[str], config: MaskSettings) -> str:
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


def truncate(row: list[T], max_length: int | None, mode: str) -> list[T]:
    """What TRL's collator keeps of a row (prompt and completion): its first or its last `max_length` tokens."""
    if max_length is None:
        return row
    return row[:max_length] if mode == "keep_start" else row[-max_length:]
