"""A pair as a training sees it, token by token, for people to look at: by the functions that make the trainer's rows.

In: a pair, a tokenizer, what decides the masks. Out: the tokens of both rows with their texts, and what becomes of each
in the loss. Loads no torch. Not here: how it is drawn (`viewer`), log-probabilities (log_probs.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, Self

from iterpref.errors import TrainingError
from iterpref.records import PreferencePair
from iterpref.training.encoding import check_tokenizer, token_texts
from iterpref.training.methods import METHODS, Focus
from iterpref.training.pair_row import encode_row, truncate
from iterpref.training.reading import TrainingPair

Part = Literal["prompt", "rewarded", "penalised", "masked", "cut"]


@dataclass(frozen=True)
class ShownSettings:
    """What decides masks (`pair_row.MaskSettings`), with the defaults of `FocalDPOConfig`."""

    method: str = "target_rpo"
    seed: int = 0
    sft_on: str = "chosen"
    empty_removed: str = "drop"
    empty_added: str = "drop"
    max_length: int | None = 1024
    truncation_mode: str = "keep_start"
    focus: str = "lines"
    outside_weight: float | None = None
    added_weight: float = 1.0

    @property
    def sides(self) -> dict[str, Focus]:
        """Side → what its tokens weigh."""
        return METHODS[self.method].focus(self.outside_weight, self.added_weight)

    @classmethod
    def of(cls, training: Mapping[str, Any]) -> Self:
        """Of the keys of a `training:` section; those of other matters are left."""
        return cls(**{field.name: training[field.name] for field in fields(cls) if field.name in training})


@dataclass(frozen=True)
class ShownToken:
    """One token of a row; `part` says what the loss does with it: `masked` has none, `cut` is beyond `max_length`.

    `weight`: how much it counts in the loss, 0 where it doesn't.
    """

    id: int
    text: str
    part: Part
    weight: float = 0.0


@dataclass(frozen=True)
class ShownPair:
    """Both rows, the prompt's tokens included; a side that the method doesn't learn is empty.

    `left_out`: why training takes no such pair, "" where it does.
    """

    chosen: list[ShownToken]
    rejected: list[ShownToken]
    left_out: str

    def ids(self, side: str) -> list[int]:
        """What the model reads of a row: what truncation cut off is not in it."""
        return [token.id for token in getattr(self, side) if token.part != "cut"]


def shown_pair(pair: PreferencePair, tokenizer: Any, settings: ShownSettings) -> ShownPair:
    """The tokens of a pair.

    Raises:
        SpanError, TrainingError: What training would stop with at this pair.
    """
    check_tokenizer(tokenizer)
    if settings.method not in METHODS:
        raise TrainingError(f"training: method={settings.method}; expected one of {', '.join(METHODS)}")
    row = encode_row(pair.model_dump(include=set(TrainingPair.model_fields)), tokenizer, settings)
    texts = token_texts(pair.prompt, pair.chosen, pair.rejected, tokenizer)
    if not METHODS[settings.method].pairwise:
        texts = {"chosen": texts[settings.sft_on], "rejected": []}
    sides = {side: _tokens(row, side, texts[side], settings) for side in ("chosen", "rejected")}
    return ShownPair(**sides, left_out="" if row["outcome"] == "kept" else row["outcome"])


def _tokens(row: Mapping[str, Any], side: str, texts: list[str], settings: ShownSettings) -> list[ShownToken]:
    if not row[f"{side}_ids"]:
        return []
    ids = [*row["prompt_ids"], *row[f"{side}_ids"]]
    loss: Part = "rewarded" if side == "chosen" else "penalised"
    of_side: list[Part] = [loss if marked else "masked" for marked in row[f"{side}_mask"]]
    parts: list[Part] = [*["prompt" for _ in row["prompt_ids"]], *of_side]  # type: ignore[list-item]
    kept = set(truncate(list(range(len(ids))), settings.max_length, settings.truncation_mode))
    weights = [*(0.0 for _ in row["prompt_ids"]), *map(float, row[f"{side}_mask"])]
    return [
        ShownToken(id_, text, part, weight) if at in kept else ShownToken(id_, text, "cut")
        for at, (id_, text, part, weight) in enumerate(zip(ids, texts, parts, weights, strict=True))
    ]
