"""Did the second model really do better than the first on the same tasks?

In: two Results of one benchmark, one completion per task. Out: a `Comparison`: the difference of their pass@1 with a
paired bootstrap interval, the exact McNemar p-value, and which tasks were won and lost.
Not here: several samples per task, corrections over many benchmarks.
"""

import math

from iterpref.errors import RecordError
from iterpref.records import Record, Result

DRAWS = 10_000


class Comparison(Record):
    """Two models, task by task. `difference` is second minus first; `low` and `high` bound it at `level`.

    `won`: tasks that only the second solves; `lost`: only the first. Task ids are in the order of the first Result.
    """

    benchmark: str
    dataset_hash: str
    first: str
    second: str
    first_pass_at_1: float
    second_pass_at_1: float
    difference: float
    low: float
    high: float
    level: float
    mcnemar_p: float
    won: tuple[str, ...]
    lost: tuple[str, ...]
    both: tuple[str, ...]
    neither: tuple[str, ...]


def compare(first: Result, second: Result, level: float = 0.95, seed: int = 0) -> Comparison:
    """Compare two Results task by task.

    Args:
        level: Of the bootstrap interval.
        seed: Of the bootstrap.

    Raises:
        RecordError: The Results are of different benchmarks, data or tasks, or hold several samples of a task.
    """
    _check_same_data(first, second)
    before, after = _solved(first), _solved(second)
    if before.keys() != after.keys():
        odd = sorted(before.keys() ^ after.keys())
        raise RecordError(
            f"results {first.result_id} and {second.result_id}: {len(odd)} tasks are in only one of them (the first: "
            f"{odd[0]}); evaluate both models on the same tasks"
        )
    groups: dict[tuple[bool, bool], list[str]] = {(a, b): [] for a in (False, True) for b in (False, True)}
    for task_id, solved in before.items():
        groups[solved, after[task_id]].append(task_id)
    won, lost = groups[False, True], groups[True, False]
    low, high = bootstrap_interval(len(won), len(lost), len(before), level, seed)
    return Comparison(
        benchmark=first.benchmark,
        dataset_hash=first.dataset_hash,
        first=first.model,
        second=second.model,
        first_pass_at_1=sum(before.values()) / len(before),
        second_pass_at_1=sum(after.values()) / len(after),
        difference=(len(won) - len(lost)) / len(before),
        low=low,
        high=high,
        level=level,
        mcnemar_p=mcnemar_p(len(won), len(lost)),
        won=tuple(won),
        lost=tuple(lost),
        both=tuple(groups[True, True]),
        neither=tuple(groups[False, False]),
    )


def mcnemar_p(won: int, lost: int) -> float:
    """Exact two-sided McNemar test: how often would a fair coin, thrown won + lost times, be at least this uneven?

    McNemar, Psychometrika 12 (1947); exact form: a binomial test of `won` against 1/2. Computed in integers.
    """
    throws = won + lost
    tail = sum(math.comb(throws, i) for i in range(min(won, lost) + 1))
    return min(1.0, 2 * tail / (1 << throws))


def bootstrap_interval(won: int, lost: int, tasks: int, level: float = 0.95, seed: int = 0) -> tuple[float, float]:
    """Percentile interval of the difference in pass@1 when tasks are drawn anew, with replacement, as pairs.

    A task counts +1 (won), -1 (lost) or 0, so a redrawn set of tasks is one multinomial draw of the three counts: the
    same distribution as picking tasks one by one, without the picking.
    """
    import numpy as np  # loaded by this analysis only, not by each command

    shares = [won / tasks, lost / tasks, (tasks - won - lost) / tasks]
    counts = np.random.default_rng(seed).multinomial(tasks, shares, size=DRAWS)
    differences = (counts[:, 0] - counts[:, 1]) / tasks
    low, high = np.quantile(differences, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _check_same_data(first: Result, second: Result) -> None:
    for name in ("benchmark", "dataset_hash"):
        ours, theirs = getattr(first, name), getattr(second, name)
        if ours != theirs:
            raise RecordError(
                f"results {first.result_id} and {second.result_id}: {name} is {ours} in one and {theirs} in the other; "
                "only results on the same data can be compared: evaluate both models again on the same file"
            )


def _solved(result: Result) -> dict[str, bool]:
    """Task id → whether its one completion passed."""
    solved = {sample.task_id: sample.execution.passed for sample in result.samples}
    if not solved:
        raise RecordError(f"result {result.result_id}: no samples; evaluate the model again")
    if len(solved) != len(result.samples):
        raise RecordError(
            f"result {result.result_id}: {len(result.samples)} samples of {len(solved)} tasks, expected one per task; "
            "evaluate with evaluation.samples = 1"
        )
    return solved
