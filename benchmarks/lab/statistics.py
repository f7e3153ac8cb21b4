"""Differences of two arms over seeds: a paired t test with bases as blocks, and how many seeds it takes.

A seed's difference is `effect + effect of its base + noise`. With as many seeds for each base, the mean difference
estimates the effect over these bases, and the noise is what is left within bases: with N seeds and B bases there are
N - B degrees of freedom (a one-way layout; the test of the grand mean in an analysis of variance with fixed blocks).
Nothing is said of bases that were not used. Holm's correction is `iterpref.analysis.compare.holm`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy.stats import nct, t

Blocks = Mapping[int, Sequence[float]]
"""Base → a value for each of its seeds."""


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds. `low` and `high` bound it at the level asked for; `deviation` is that of one seed, in a block.

    Where all values of a block are equal, `error` is 0 and `p` is 1 for a mean of 0, else 0.
    """

    mean: float
    low: float
    high: float
    p: float
    deviation: float
    error: float
    seeds: int
    freedom: int


def estimate(blocks: Blocks, level: float = 0.95) -> Estimate:
    """The mean over seeds with its interval, and the two-sided p-value of "it is zero".

    Raises:
        ValueError: Blocks of different sizes, or with fewer than two seeds in all of them.
    """
    sizes = {len(values) for values in blocks.values()}
    if len(sizes) != 1 or min(sizes) < 2:
        raise ValueError(f"expected as many seeds for each base, and two at least, got {[*map(len, blocks.values())]}")
    seeds = sum(len(values) for values in blocks.values())
    freedom = seeds - len(blocks)
    means = {base: math.fsum(values) / len(values) for base, values in blocks.items()}
    squares = math.fsum((value - means[base]) ** 2 for base, values in blocks.items() for value in values)
    mean = math.fsum(means.values()) / len(means)
    deviation = math.sqrt(squares / freedom)
    error = deviation / math.sqrt(seeds)
    half = float(t.ppf((1 + level) / 2, freedom)) * error
    p = 2 * float(t.sf(abs(mean) / error, freedom)) if error else float(mean == 0)
    return Estimate(mean, mean - half, mean + half, p, deviation, error, seeds, freedom)


def seeds_needed(deviation: float, error: float, blocks: int = 1, most: int | None = None) -> int:
    """Seeds, as many for each block, with which the mean's standard error is at most `error`; `most` caps them."""
    least = max(2 * blocks, math.ceil((deviation / error) ** 2 - 1e-9))
    wanted = -(-least // blocks) * blocks
    return wanted if most is None else min(wanted, most // blocks * blocks)


def power(difference: float, error: float, freedom: int, level: float = 0.05) -> float:
    """How likely the two-sided test at `level` finds a true difference, with this standard error of its mean."""
    bound, shift = t.ppf(1 - level / 2, freedom), abs(difference) / error
    wrong_side = float(nct.cdf(-bound, freedom, shift))
    if math.isnan(wrong_side):  # scipy's answer where it is below 1e-15
        wrong_side = 0.0
    return float(nct.sf(bound, freedom, shift)) + wrong_side


def detectable(error: float, freedom: int, level: float = 0.05, wanted: float = 0.8) -> float:
    """The smallest true difference that the test finds with the power `wanted`."""
    high = error
    while power(high, error, freedom, level) < wanted:
        high *= 2
    low = 0.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if power(middle, error, freedom, level) >= wanted else (middle, high)
    return high
