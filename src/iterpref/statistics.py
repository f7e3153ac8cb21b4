"""How likely is it that at least one of k completions of a task is right?

In: per task, how many completions were drawn and how many passed. Out: pass@k and its standard error over tasks; and of
any share its interval.
The estimator is that of Chen et al., "Evaluating Large Language Models Trained on Code" (arXiv:2107.03374), sec. 2.1.
Pure arithmetic. Not here: significance of a difference between two models (`analysis/compare.py`).
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from statistics import NormalDist

from iterpref.records import Sample


def pass_at_k(samples: int, correct: int, k: int) -> float:
    """Unbiased pass@k of one task: 1 - C(n - c, k) / C(n, k).

    Computed in integers and divided once, so the result is correctly rounded for every size.

    Args:
        samples: Completions drawn (n).
        correct: Completions that passed (c).

    Raises:
        ValueError: Not 0 ≤ c ≤ n and 1 ≤ k ≤ n; fewer than k completions can't tell pass@k.
    """
    if not 0 <= correct <= samples or not 1 <= k <= samples:
        raise ValueError(f"pass@{k} of {correct} correct among {samples} samples: expected correct and k within them")
    ways = math.comb(samples, k)
    return (ways - math.comb(samples - correct, k)) / ways


def passes(sample: Sample) -> bool:
    """Whether a sample's program passed all of its tests."""
    return sample.execution.passed


def pass_at_k_by_task(samples: Iterable[Sample], k: int, right: Callable[[Sample], bool] = passes) -> dict[str, float]:
    """Task id → pass@k, in the order of the samples.

    Raises:
        ValueError: A task has fewer than k samples.
    """
    drawn: Counter[str] = Counter()
    correct: Counter[str] = Counter()
    for sample in samples:
        drawn[sample.task_id] += 1
        correct[sample.task_id] += right(sample)
    return {task_id: pass_at_k(count, correct[task_id], k) for task_id, count in drawn.items()}


def wilson(successes: int, trials: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a share: also near 0 and 1, and for few trials, about as wide as it must be.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).

    Raises:
        ValueError: Not 0 ≤ successes ≤ trials, or no trials.
    """
    if not 0 <= successes <= trials or not trials:
        raise ValueError(f"{successes} successes in {trials} trials: expected a trial, and no more successes")
    z = NormalDist().inv_cdf(0.5 + level / 2)
    share, spread = successes / trials, z * z / trials
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / trials + spread / (4 * trials)) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


def mean_and_error(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean over tasks and its standard error; the error is None for a single task, which says nothing about others.

    Raises:
        ValueError: No values.
    """
    if not values:
        raise ValueError("no tasks to average over; expected at least one")
    mean = math.fsum(values) / len(values)
    if len(values) == 1:
        return mean, None
    variance = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return mean, math.sqrt(variance / len(values))
