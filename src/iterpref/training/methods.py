"""The training methods, one entry each: everything in which they differ.

To add one, add an entry to `METHODS`, and if it learns other tokens, a mask above the table. Masks are drawn once per
pair, from its id and the seed: they are data, so references computed beforehand fit them and a run can be repeated.
Loads no torch. Not here: what the terms compute (TRL), how spans become tokens (masking.py).
"""

import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from iterpref.programs import code_lines
from iterpref.records import Span

# TRL's names: the preference term, and the NLL of the chosen side.
DPO, NLL = "sigmoid", "sft"


@dataclass(frozen=True)
class PairSide:
    """What a mask may depend on: a pair's completion, the lines in it that the fix changed, and the run's seed."""

    pair_id: str
    completion: str
    changed: Sequence[Span]
    seed: int


# The characters whose tokens carry loss; None: all tokens, those of no character included.
Mask = Callable[[PairSide], Sequence[Span] | None]


def everything(side: PairSide) -> None:
    """The whole side."""


def changed_lines(side: PairSide) -> Sequence[Span]:
    """D⁻ of a rejected side, D⁺ of a chosen one."""
    return side.changed


def changed_lines_of_half(side: PairSide) -> Sequence[Span] | None:
    """The changed lines of about half of the pairs, by a hash of their ids; the whole side of the others."""
    return None if is_plain(side.pair_id) else side.changed


def widened_lines(side: PairSide) -> Sequence[Span]:
    """The changed lines and 1 or 2 lines around them."""
    return widened(side.completion, side.changed, f"{side.seed}:{side.pair_id}")


@dataclass(frozen=True)
class Method:
    """What a method decides.

    Attributes:
        terms: TRL's loss terms; an NLL term after another is weighed by `alpha`.
        rejected_mask, chosen_mask: Which tokens of a side carry loss. A side with a mask other than `everything` is
            focal: its metrics are renamed, and `empty_removed` or `empty_added` is about pairs without a token there.
        pairwise: Whether both sides are learned; else one alone, which `sft_on` chooses, and the other is not run.
        reference: Whether the loss compares with the frozen model.
        outside: What a token of a focal side weighs outside of its mask, beside 1 within (key `outside_weight`).
        mean: Whether a side's weights are divided by their sum, so that a mean log-probability is compared.
        margin: Whether the difference has to exceed `gamma`.
    """

    terms: tuple[str, ...]
    help: str
    rejected_mask: Mask = everything
    chosen_mask: Mask = everything
    pairwise: bool = True
    reference: bool = True
    outside: float = 0.0
    mean: bool = False
    margin: bool = False

    @property
    def focal_sides(self) -> list[str]:
        masks = {"chosen": self.chosen_mask, "rejected": self.rejected_mask}
        return [side for side, mask in masks.items() if mask is not everything]

    def focus(self, outside: float | None = None, added: float = 1.0) -> "dict[str, Focus]":
        """What the tokens of each side weigh, under the settings `outside_weight` and `added_weight`."""
        rest = self.outside if outside is None else outside
        chosen = Focus(self.chosen_mask, 1.0, rest, self.mean)
        if self.chosen_mask is everything and added != 1.0:
            chosen = Focus(changed_lines, added, 1.0, self.mean)
        return {"chosen": chosen, "rejected": Focus(self.rejected_mask, 1.0, rest, self.mean)}


@dataclass(frozen=True)
class Focus:
    """What the tokens of a side weigh within its mask and outside of it; `mean`: divided by their sum."""

    mask: Mask
    inside: float
    outside: float
    mean: bool

    def weights(self, marks: Sequence[int]) -> list[float]:
        """(L,) marks of 0/1 → (L,) weights, before they are divided."""
        return [self.inside if mark else self.outside for mark in marks]

    @property
    def suffix(self) -> str:
        """What TRL's metrics of such a side are called by: `` means a sum over all its tokens."""
        if self.mask is everything:
            return "_weighted" if self.mean else ""
        return "_weighted" if self.mean or self.outside else "_focal"


METHODS: dict[str, Method] = {
    "sft": Method((NLL,), "NLL of the chosen side", pairwise=False, reference=False),
    "dpo": Method((DPO,), "the whole chosen against the whole rejected side"),
    "rpo": Method((DPO, NLL), "dpo + alpha * NLL of the chosen side"),
    "target_dpo": Method((DPO,), "dpo with the rejected side reduced to D-", rejected_mask=changed_lines),
    "target_rpo": Method((DPO, NLL), "target_dpo + alpha * NLL of the chosen side", rejected_mask=changed_lines),
    # the paper's ablations; alpha=0 leaves their preference term alone
    "hybrid": Method((DPO, NLL), "target_rpo, half of the pairs as in rpo", rejected_mask=changed_lines_of_half),
    "diff_augmentation": Method((DPO, NLL), "target_rpo, 1-2 lines around D- in it too", rejected_mask=widened_lines),
    "symmetric": Method(
        (DPO, NLL),
        "target_rpo with the chosen side reduced to D+ too",
        rejected_mask=changed_lines,
        chosen_mask=changed_lines,
    ),
    # without a reference: mean log-probabilities, whose difference has to exceed gamma
    "simpo": Method(
        (DPO,), "mean log-probabilities, no reference, margin gamma", reference=False, mean=True, margin=True
    ),
    "focal_simpo": Method(
        (DPO,),
        "simpo with the rejected side reduced to D-",
        rejected_mask=changed_lines,
        reference=False,
        mean=True,
        margin=True,
    ),
    "lpo": Method(
        (DPO, NLL),
        "simpo with weights .9 in D+ and D- and .1 outside, + alpha * NLL of the chosen side",
        rejected_mask=changed_lines,
        chosen_mask=changed_lines,
        outside=1 / 9,
        reference=False,
        mean=True,
        margin=True,
    ),
}
"""Name → method, the values of `FocalDPOConfig.method`; `METHODS["target_rpo"].help` is one line on each.

`target_dpo` and `target_rpo` are the losses of arXiv:2503.02783; then there are those it compares them with, its
ablations, and variants (docs/training.md).
"""


def is_plain(pair_id: str) -> bool:
    """Whether `hybrid` trains this pair with all of its rejected side; about half of all ids."""
    return hashlib.sha256(pair_id.encode()).digest()[0] % 2 == 0


def widened(text: str, spans: Sequence[Span], key: str) -> list[Span]:
    """D⁻ widened by 1-2 lines of code on both sides, at random by `key` (arXiv:2503.02783, ablation of the diff).

    Lines outside the code blocks of `text` are added only if it has none. `spans` are ranges of whole lines.
    """
    draw = random.Random(hashlib.sha256(key.encode()).digest())
    lines = code_lines(text)
    wrong = [at for at, line in enumerate(lines) if any(s.start < line.stop and line.start < s.stop for s in spans)]
    kept = set(wrong)
    for at in wrong:
        if at - 1 not in wrong:
            kept.update(range(at - draw.choice((1, 2)), at))
        if at + 1 not in wrong:
            kept.update(range(at + 1, at + 1 + draw.choice((1, 2))))
    return [Span(start=line.start, stop=line.stop) for at, line in enumerate(lines) if at in kept]
