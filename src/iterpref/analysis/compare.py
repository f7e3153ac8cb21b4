"""Did one model really do better than another on the same tasks?

The difference of pass@k with a paired bootstrap interval over tasks, the exact McNemar p-value where each task has one
completion, and the tasks won and lost; of several models each pair, with p-values corrected for how many there are.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations, product
from statistics import fmean

from iterpref.errors import RecordError
from iterpref.records import Record, Result
from iterpref.statistics import pass_at_k_by_task


class Comparison(Record):
    """Two models, task by task: shares from 0 to 1 of T tasks, paired by task.

    `first` and `second` are the models, `first_pass_at_k` and `second_pass_at_k` their pass@`k` (arXiv:2107.03374) on
    `benchmark`, whose data are `dataset_hash`; `first_result` and `second_result` the Results' ids. `difference` is
    second minus first; `low` and `high` bound it at `level`, by a percentile bootstrap over tasks (Efron 1979).

    `won`: tasks that the second solves more often (with one completion: only it solves), `lost`: the first; `both` and
    `neither`: no difference, solved or not; ids are in the order of the first Result. `mcnemar_p` is None where tasks
    have several completions (McNemar 1947, exact); `holm_p` is set where several comparisons are reported together.
    """

    benchmark: str
    dataset_hash: str
    first: str
    second: str
    first_pass_at_k: float
    second_pass_at_k: float
    difference: float
    low: float
    high: float
    level: float
    mcnemar_p: float | None
    won: tuple[str, ...]
    lost: tuple[str, ...]
    both: tuple[str, ...]
    neither: tuple[str, ...]
    k: int = 1
    holm_p: float | None = None
    first_result: str = ""
    second_result: str = ""


class Entrant(Record):
    """One model in the comparison, by the name it is shown under, with its Results by benchmark."""

    name: str
    results: dict[str, Result]


class Matrix(Record):
    """`values`: benchmark → entrant → pass@k (None where it wasn't evaluated). `comparisons` in the order of entrants,
    each with its p-value after Holm's correction over all of them."""

    k: int
    level: float
    entrants: tuple[str, ...]
    values: dict[str, dict[str, float | None]]
    comparisons: tuple[Comparison, ...]
    not_compared: tuple[str, ...] = ()


def compare(first: Result, second: Result, level: float = 0.95, seed: int = 0, k: int = 1) -> Comparison:
    """Did the second model really do better than the first on the same tasks?

    A percentile bootstrap over tasks (Efron 1979), and McNemar's exact test (1947) where tasks have one completion.

    Args:
        first: The Result that the other is compared with.
        second: On the same benchmark, data and tasks.
        level: Of the interval, from 0 to 1.
        seed: Of the bootstrap's 10,000 draws.
        k: Of pass@k, at most the completions of a task.

    Returns:
        Difference of pass@k with its interval, p-value, and the ids of the tasks that were won and lost.

    Raises:
        RecordError: The Results are of different benchmarks, data or tasks, or a task has fewer than k completions.
    """
    _check_same_data(first, second)
    before, after = task_scores(first, k), task_scores(second, k)
    if odd := before.keys() ^ after.keys():
        raise RecordError(
            f"results {first.result_id} and {second.result_id}: {len(odd)} tasks are in only one of them (the first: "
            f"{min(odd)}); evaluate both models on the same tasks"
        )
    differences = {task_id: after[task_id] - score for task_id, score in before.items()}
    won = tuple(task_id for task_id, value in differences.items() if value > 0)
    lost = tuple(task_id for task_id, value in differences.items() if value < 0)
    equal = [task_id for task_id, value in differences.items() if value == 0]
    low, high = bootstrap_mean(Counter(differences.values()), level, seed)
    single = len(first.samples) == len(second.samples) == len(before)
    return Comparison(
        benchmark=first.benchmark,
        dataset_hash=first.dataset_hash,
        first=first.model,
        second=second.model,
        first_pass_at_k=fmean(before.values()),
        second_pass_at_k=fmean(after.values()),
        difference=fmean(differences.values()),
        low=low,
        high=high,
        level=level,
        mcnemar_p=mcnemar_p(len(won), len(lost)) if single else None,
        won=won,
        lost=lost,
        both=tuple(task_id for task_id in equal if before[task_id] > 0),
        neither=tuple(task_id for task_id in equal if before[task_id] == 0),
        k=k,
        first_result=first.result_id,
        second_result=second.result_id,
    )


def mcnemar_p(won: int, lost: int) -> float:
    """Exact two-sided McNemar test: how often would a fair coin, thrown won + lost times, be at least this uneven?

    McNemar, Psychometrika 12 (1947); exact form: a binomial test of `won` against 1/2. Computed in integers.
    """
    throws = won + lost
    tail = sum(math.comb(throws, i) for i in range(min(won, lost) + 1))
    return min(1.0, 2 * tail / (1 << throws))


def bootstrap_mean(values: Mapping[float, int], level: float = 0.95, seed: int = 0) -> tuple[float, float]:
    """Percentile interval of the mean over tasks when tasks are drawn anew, with replacement (Efron 1979).

    Args:
        values: Value (a paired difference, say) → number of tasks that have it. A redrawn set of tasks is one
            multinomial draw of these numbers: the same distribution as picking tasks one by one, without the picking.
    """
    import numpy as np  # loaded by this analysis only, not by each command

    ordered = sorted(values)
    tasks = sum(values.values())
    shares = [values[value] / tasks for value in ordered]
    counts = np.random.default_rng(seed).multinomial(tasks, shares, size=10_000)
    means = counts @ np.array(ordered, dtype=float) / tasks
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def task_scores(result: Result, k: int = 1) -> dict[str, float]:
    """Task id → unbiased pass@k of the task (arXiv:2107.03374); RecordError for a task with fewer than k samples."""
    drawn = Counter(sample.task_id for sample in result.samples)
    if not drawn:
        raise RecordError(f"result {result.result_id}: no samples; evaluate the model again")
    few = next((task_id for task_id, count in drawn.items() if count < k), None)
    if few is not None or k < 1:
        raise RecordError(
            f"result {result.result_id}: task {few} has {drawn[few or '']} samples, and pass@{k} needs {k}; evaluate "
            "with more samples, or compare with a smaller k"
        )
    return pass_at_k_by_task(result.samples, k)


def _check_same_data(first: Result, second: Result) -> None:
    for name in ("benchmark", "dataset_hash"):
        ours, theirs = getattr(first, name), getattr(second, name)
        if ours != theirs:
            raise RecordError(
                f"results {first.result_id} and {second.result_id}: {name} is {ours} in one and {theirs} in the other; "
                "only results on the same data can be compared: evaluate both models again on the same file"
            )


def compare_all(entrants: Sequence[Entrant], k: int = 1, level: float = 0.95, seed: int = 0) -> Matrix:
    """Every pair of entrants on every benchmark that both have.

    Raises:
        RecordError: Two entrants of one name, or no benchmark that two of them share.
    """
    names = [entrant.name for entrant in entrants]
    if len(set(names)) < len(names):
        raise RecordError(f"compare: the names {', '.join(names)} are not distinct; rename the files or folders")
    benchmarks = list(dict.fromkeys(name for entrant in entrants for name in entrant.results))
    comparisons, missing = [], []
    for benchmark, (first, second) in product(benchmarks, combinations(entrants, 2)):
        if benchmark not in first.results or benchmark not in second.results:
            missing.append(f"{benchmark}: only one of {first.name} and {second.name} was evaluated")
            continue
        found = compare(first.results[benchmark], second.results[benchmark], level, seed, k)
        comparisons.append(found.model_copy(update={"first": first.name, "second": second.name}))
    if not comparisons:
        raise RecordError(f"compare: no benchmark in common; {'; '.join(missing) or 'name at least two results'}")
    values: dict[str, dict[str, float | None]] = {benchmark: dict.fromkeys(names) for benchmark in benchmarks}
    for found in comparisons:
        values[found.benchmark][found.first] = found.first_pass_at_k
        values[found.benchmark][found.second] = found.second_pass_at_k
    return Matrix(
        k=k,
        level=level,
        entrants=tuple(names),
        values=values,
        comparisons=_corrected(comparisons),
        not_compared=tuple(missing),
    )


def _corrected(comparisons: Sequence[Comparison]) -> tuple[Comparison, ...]:
    """Each with its p-value after Holm's correction, where it has one."""
    adjusted = iter(holm([c.mcnemar_p for c in comparisons if c.mcnemar_p is not None]))
    return tuple(c if c.mcnemar_p is None else c.model_copy(update={"holm_p": next(adjusted)}) for c in comparisons)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values (Scandinavian Journal of Statistics 6, 1979), in the order given."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted
