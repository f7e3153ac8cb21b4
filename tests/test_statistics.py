from fractions import Fraction
from itertools import combinations

import pytest

from iterpref.statistics import mean_and_error, pass_at_k


def by_enumeration(samples: int, correct: int, k: int) -> Fraction:
    """Draw every k of the samples, without replacement, and count the draws with a correct one."""
    draws = list(combinations([True] * correct + [False] * (samples - correct), k))
    return Fraction(sum(any(draw) for draw in draws), len(draws))


def test_equals_enumeration_of_all_draws() -> None:
    for samples in range(1, 8):
        for correct in range(samples + 1):
            for k in range(1, samples + 1):
                assert pass_at_k(samples, correct, k) == float(by_enumeration(samples, correct, k))


@pytest.mark.parametrize(
    ("samples", "correct", "k", "expected"),
    [
        pytest.param(100, 22, 1, 0.22, id="k = 1 is the share"),
        pytest.param(100, 0, 10, 0.0, id="none correct"),
        pytest.param(100, 91, 10, 1.0, id="fewer than k wrong"),
        pytest.param(200, 1, 100, 0.5, id="one in two hundred"),
        pytest.param(10**6, 1, 1, 1e-6, id="no cancellation"),
        pytest.param(100_000, 50_000, 1000, 1.0, id="far beyond what floats hold"),
    ],
)
def test_values(samples: int, correct: int, k: int, expected: float) -> None:
    assert pass_at_k(samples, correct, k) == expected


def test_unbiased() -> None:
    """Over all outcomes of n samples the mean is the true pass@k, here exactly: p = 1/3, n = 5, k = 3."""
    p, n, k = Fraction(1, 3), 5, 3
    outcomes = [tuple(bool(bits >> i & 1) for i in range(n)) for bits in range(2**n)]
    mean = sum(p ** sum(o) * (1 - p) ** (n - sum(o)) * Fraction(pass_at_k(n, sum(o), k)) for o in outcomes)
    assert float(mean) == pytest.approx(float(1 - (1 - p) ** k), abs=1e-15)


@pytest.mark.parametrize(("samples", "correct", "k"), [(5, 6, 1), (5, -1, 1), (5, 2, 6), (5, 2, 0), (0, 0, 1)])
def test_contradictory_numbers(samples: int, correct: int, k: int) -> None:
    with pytest.raises(ValueError, match=f"pass@{k} of {correct} correct among {samples}"):
        pass_at_k(samples, correct, k)


def test_standard_error_over_tasks() -> None:
    assert mean_and_error([1.0, 0.0, 0.0, 1.0]) == (0.5, pytest.approx((1 / 3 / 4) ** 0.5))
    assert mean_and_error([0.7]) == (0.7, None)
    with pytest.raises(ValueError, match="no tasks"):
        mean_and_error([])
