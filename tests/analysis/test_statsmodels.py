"""Our statistics against statsmodels', which many papers use."""

import random

import numpy as np
import pytest

from iterpref.analysis.compare import holm, mcnemar_p

multitest = pytest.importorskip("statsmodels.stats.multitest", reason="needs statsmodels (pip install '.[dev]')")
contingency = pytest.importorskip("statsmodels.stats.contingency_tables")


@pytest.mark.parametrize(("won", "lost"), [(1, 0), (5, 0), (0, 5), (4, 3), (10, 2), (89, 4), (60, 80)])
def test_mcnemar(won: int, lost: int) -> None:
    table = [[50, lost], [won, 70]]
    assert mcnemar_p(won, lost) == pytest.approx(contingency.mcnemar(table, exact=True).pvalue, rel=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_holm(seed: int) -> None:
    draw = random.Random(seed)
    values = [draw.random() ** 4 for _ in range(draw.randint(1, 12))]
    values += values[:1]  # equal ones
    expected = multitest.multipletests(values, method="holm")[1]
    assert np.allclose(holm(values), expected, rtol=1e-12)
