"""The reasons that are thought of, and what has to be found for each: decided before anything is run.

The same table stands in docs/results.md (a test compares). A condition holds if the whole interval of its contrast lies
over 0, and fails if it lies under 0. A reason is supported if all of its conditions hold, contradicted if one of them
fails, else undecided. Where `sft - target_rpo` isn't over 0, a reason of that difference has nothing to explain.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ..statistics import Estimate

Outcome = Literal["holds", "fails", "undecided", "–"]


@dataclass(frozen=True)
class Condition:
    """The `figure` (figures.py) of a `contrast` of arms is expected to be over 0."""

    contrast: str
    figure: str


@dataclass(frozen=True)
class Reason:
    """`at_one_setting`: of what differs between SFT and Target-RPO at the same rate and length."""

    name: str
    says: str
    conditions: tuple[Condition, ...]
    at_one_setting: bool = True


REASONS: tuple[Reason, ...] = (
    Reason("rate", "SFT bears a rate that Target-RPO doesn't", (
        Condition("sft - sft_low", "passed"),
        Condition("sft - sft_low - target_rpo + target_rpo_low", "passed"),
    ), at_one_setting=False),
    Reason("spilling", "the penalty on D⁻ takes away what is right", (
        Condition("alpha_16 - target_rpo", "passed"),
        Condition("target_rpo - target_dpo", "passed"),
        Condition("sft - target_rpo", "unseen_common"),
        Condition("target_rpo - sft", "lost"),
    )),
    Reason("saturation", "a pair teaches nothing more once its margin is reached", (
        Condition("beta_0.025 - alpha_4", "passed"),
        Condition("target_rpo - beta_0.4", "passed"),
        Condition("sft - target_rpo", "unseen_added"),
        Condition("sft - target_rpo", "won"),
    )),
    Reason("conflict", "a line that is wrong in one task is right in another, and the penalty counts against both", (
        Condition("sft - target_rpo", "open_less_mistake"),
        Condition("alpha_16 - target_rpo", "open_less_mistake"),
    )),
    Reason("concentration", "SFT puts more on its first answer and knows no more", (
        Condition("target_rpo - sft", "gained"),
        Condition("target_rpo - sft", "entropy"),
        Condition("target_rpo - sft", "programs"),
    )),
    Reason("by heart", "Target-RPO learns the pairs and not what they have in common", (
        Condition("target_rpo - sft", "by_heart"),
        Condition("sft - target_rpo", "unseen_added"),
    )),
    Reason("common lines", "it takes the lines that both programs share to learn those in which they differ", (
        Condition("target_dpo - symmetric_alone", "passed"),
        Condition("target_dpo - symmetric_alone", "unseen_common"),
        Condition("symmetric_alone - target_dpo", "lost"),
    )),
)  # fmt: skip

AT_ONE_SETTING = "sft - target_rpo"
GAPS = ("sft - target_rpo_low", AT_ONE_SETTING, "sft_low - target_rpo_low")
"""What is to be explained: at each one's own setting, at SFT's, at Target-RPO's."""


def outcome(found: Estimate | None) -> Outcome:
    if found is None:
        return "–"
    if found.low > 0:
        return "holds"
    return "fails" if found.high < 0 else "undecided"


def verdict(reason: Reason, outcomes: Sequence[Outcome], gap: Outcome) -> str:
    """Of a reason, by its conditions and by what is to be explained; – where one of them could not be looked at."""
    if "–" in outcomes or (reason.at_one_setting and gap == "–"):
        return "–"
    if reason.at_one_setting and gap != "holds":
        return "nothing to explain"
    if "fails" in outcomes:
        return "contradicted"
    return "supported" if {*outcomes} == {"holds"} else "undecided"
