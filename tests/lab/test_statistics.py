"""Our tests over seeds against scipy's and statsmodels'."""

import random

import numpy as np
import pytest
from benchmarks.lab.statistics import detectable, estimate, power, seeds_needed

stats = pytest.importorskip("scipy.stats")
models = pytest.importorskip("statsmodels.api", reason="needs statsmodels (pip install '.[dev]')")
TTestPower = pytest.importorskip("statsmodels.stats.power").TTestPower


def differences(blocks: int, each: int, seed: int) -> dict[int, list[float]]:
    """Seed differences with another level in each block."""
    draw = random.Random(seed)
    return {b: [0.01 + 0.05 * b + draw.gauss(0, 0.03) for _ in range(each)] for b in range(blocks)}


@pytest.mark.parametrize("seed", range(3))
def test_one_block_is_the_paired_t_test(seed: int) -> None:
    [values] = differences(1, 7, seed).values()
    found, expected = estimate({0: values}), stats.ttest_1samp(values, 0.0)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-9)
    interval = expected.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-9)
    assert (found.seeds, found.freedom) == (7, 6)


@pytest.mark.parametrize(("blocks", "each"), [(2, 2), (3, 10), (5, 4)])
def test_blocks_are_those_of_an_analysis_of_variance(blocks: int, each: int) -> None:
    """The grand mean in a linear model with sum-coded blocks."""
    found = differences(blocks, each, 1)
    values = [value for block in found.values() for value in block]
    rows = [[1.0, *((block == other) - (block == blocks - 1) for other in range(blocks - 1))]
            for block in found for _ in range(each)]  # fmt: skip
    fit = models.OLS(values, np.array(rows, dtype=float)).fit()
    got = estimate(found, level=0.9)
    assert (got.mean, got.error, got.p) == pytest.approx((fit.params[0], fit.bse[0], fit.pvalues[0]), rel=1e-9)
    assert (got.low, got.high) == pytest.approx(tuple(fit.conf_int(0.1)[0]), rel=1e-9)
    assert got.freedom == fit.df_resid


def test_a_block_s_level_is_no_noise() -> None:
    """Without blocks the same differences are far less certain."""
    found = differences(3, 6, 2)
    pooled = estimate({0: [value for block in found.values() for value in block]})
    assert estimate(found).error < 0.8 * pooled.error


def test_without_any_noise() -> None:
    assert estimate({0: [0.0, 0.0]}).p == 1.0
    certain = estimate({0: [0.5, 0.5], 1: [0.25, 0.25]})
    assert (certain.mean, certain.low, certain.p) == (0.375, 0.375, 0.0)


@pytest.mark.parametrize("blocks", [{0: [0.1, 0.2], 1: [0.1]}, {0: [0.1], 1: [0.2]}, {0: [0.1]}, {}])
def test_blocks_that_say_nothing_are_refused(blocks: dict[int, list[float]]) -> None:
    with pytest.raises(ValueError, match="as many seeds for each base, and two at least"):
        estimate(blocks)


@pytest.mark.parametrize(
    ("deviation", "blocks", "most", "expected"),
    [
        pytest.param(0.035, 1, None, 25, id="(5 errors)²"),
        pytest.param(0.0351, 1, None, 26, id="rounded up"),
        pytest.param(0.035, 3, None, 27, id="a multiple of the blocks"),
        pytest.param(0.2, 3, 30, 30, id="capped"),
        pytest.param(0.2, 4, 30, 28, id="capped at a multiple"),
        pytest.param(0.0, 3, None, 6, id="two of each at least"),
    ],
)
def test_seeds_needed(deviation: float, blocks: int, most: int | None, expected: int) -> None:
    assert seeds_needed(deviation, 0.007, blocks, most) == expected


@pytest.mark.parametrize("freedom", [4, 27])
@pytest.mark.parametrize("effect", [-0.9, 0.1, 0.5, 1.5])
def test_power(effect: float, freedom: int) -> None:
    """Of one block, whose degrees of freedom are statsmodels'."""
    expected = TTestPower().power(abs(effect), nobs=freedom + 1, alpha=0.05)
    assert power(effect, 1 / (freedom + 1) ** 0.5, freedom) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("freedom", "level"), [(4, 0.05), (28, 0.05), (28, 0.05 / 3), (1, 0.05 / 3)])
def test_what_is_detectable_has_the_power_asked_for(freedom: int, level: float) -> None:
    assert power(detectable(0.007, freedom, level), 0.007, freedom, level) == pytest.approx(0.8, abs=1e-6)
