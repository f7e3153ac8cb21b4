"""Which rate and length an arm gets: one rule for all arms.

Each rate with each length is trained on the tuning seeds and scored on their validation tasks. The best mean pass@1
wins; of settings that can't be told from the best (its lead over the same tasks is within one standard error of that
lead) the lowest rate is taken, and at that rate the shortest length.
"""

import math
import random
from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Setting(NamedTuple):
    rate: float
    length: float


def choose(scores: Mapping[Setting, Sequence[bool]]) -> Setting:
    """The setting of an arm. `scores`: what passed, task by task, the same tasks in the same order for each.

    Raises:
        ValueError: No scores, or not on the same number of tasks.
    """
    if len({len(passes) for passes in scores.values()}) != 1:
        raise ValueError(f"expected the same tasks for each setting, got {[len(s) for s in scores.values()]}")
    best = max(sorted(scores), key=lambda setting: sum(scores[setting]))
    return min(setting for setting in scores if within_one_error(scores[best], scores[setting]))


def chosen_again(scores: Mapping[Setting, Sequence[bool]], times: int = 200) -> float:
    """In which share of resamples of the tasks the same setting is chosen: how far the choice is luck."""
    picker, found = random.Random(0), choose(scores)
    count = len(scores[found])
    again = 0
    for _ in range(times):
        taken = picker.choices(range(count), k=count)
        again += choose({setting: [passes[task] for task in taken] for setting, passes in scores.items()}) == found
    return again / times


def within_one_error(best: Sequence[bool], other: Sequence[bool]) -> bool:
    """Whether the lead of `best`, task by task, is at most its standard error."""
    leads = [a - b for a, b in zip(best, other, strict=True)]
    mean = sum(leads) / len(leads)
    variance = sum((lead - mean) ** 2 for lead in leads) / max(1, len(leads) - 1)
    return mean <= math.sqrt(variance / len(leads)) + 1e-12  # a lead of one task alone is one error, rounding aside
