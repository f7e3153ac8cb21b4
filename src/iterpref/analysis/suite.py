"""Models on a list of benchmarks → the form of the paper's Table 1, with paired intervals against a baseline.

A cell is pass@k over the benchmark's tasks, Avg the mean of a row's cells, as the paper takes it; a row with an empty
cell has none. A task counts in each column that has it (HumanEval's in HE and HE+), so the interval of Avg redraws
tasks, not cells: within each group of tasks that stand in the same columns, paired, with replacement.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean

from iterpref.analysis.compare import compare, task_scores
from iterpref.errors import RecordError
from iterpref.records import Record, Result

# Benchmark → its column in arXiv:2503.02783, Table 1, in that order.
PAPER_COLUMNS = {
    "humaneval": "HE",
    "humaneval+": "HE+",
    "mbpp": "MB",
    "mbpp+": "MB+",
    "bigcodebench-complete": "BC",
    "bigcodebench-instruct": "BI",
    "bigcodebench-hard-complete": "HC",
    "bigcodebench-hard-instruct": "HI",
    "livecodebench-v5": "LCB",
}


class Difference(Record):
    """A model minus the baseline, as shares; `low` and `high` bound it at the table's level."""

    value: float
    low: float
    high: float


class SuiteRow(Record):
    """One model: benchmark → pass@k (None where there is no Result), their mean, and differences from the baseline."""

    model: str
    values: dict[str, float | None]
    average: float | None
    differences: dict[str, Difference]
    average_difference: Difference | None


class SuiteTable(Record):
    """`baseline` is the name of a row; `tasks`: benchmark → how many counted; `broken`: how many could not be judged on
    this machine; `missing`: why cells are empty or not compared, one sentence each."""

    k: int
    level: float
    baseline: str
    benchmarks: tuple[str, ...]
    tasks: dict[str, int]
    broken: dict[str, int]
    rows: tuple[SuiteRow, ...]
    missing: tuple[str, ...] = ()


Cells = Mapping[str, Mapping[str, Result]]


def suite_table(
    cells: Cells,
    benchmarks: Sequence[str],
    baseline: str,
    *,
    k: int = 1,
    level: float = 0.95,
    seed: int = 0,
    missing: Sequence[str] = (),
) -> SuiteTable:
    """Put Results into one table.

    Args:
        cells: Model → benchmark → its Result; models in the order of their rows.
        baseline: The model that the others are compared with.
        level, seed: Of the bootstrap intervals.

    Raises:
        RecordError: No such baseline, or a Result with fewer than k samples of a task.
    """
    if baseline not in cells:
        raise RecordError(f"--baseline {baseline}: not among the models; expected one of {', '.join(cells)}")
    found = [
        _row(model, of_model, {} if model == baseline else cells[baseline], benchmarks, k, level, seed)
        for model, of_model in cells.items()
    ]
    shown = [of_model[name] for name in benchmarks for of_model in cells.values() if name in of_model]
    return SuiteTable(
        k=k,
        level=level,
        baseline=baseline,
        benchmarks=tuple(benchmarks),
        tasks={result.benchmark: len({sample.task_id for sample in result.samples}) for result in shown},
        broken={result.benchmark: len(result.broken) for result in shown if result.broken},
        rows=tuple(row for row, _ in found),
        missing=(*missing, *(why for _, problems in found for why in problems)),
    )


def _row(
    model: str,
    own: Mapping[str, Result],
    base: Mapping[str, Result],
    benchmarks: Sequence[str],
    k: int,
    level: float,
    seed: int,
) -> tuple[SuiteRow, list[str]]:
    """A model's row, and why cells of it can't be compared."""
    values = {name: fmean(task_scores(own[name], k).values()) if name in own else None for name in benchmarks}
    known = [value for value in values.values() if value is not None]
    differences, problems = {}, []
    for name in benchmarks:
        if name not in own or name not in base:
            continue
        try:
            compared = compare(base[name], own[name], level, seed, k)
        except RecordError as error:
            problems.append(f"{model} on {name} is not compared: {error}")
        else:
            differences[name] = Difference(value=compared.difference, low=compared.low, high=compared.high)
    whole = len(differences) == len(benchmarks)
    row = SuiteRow(
        model=model,
        values=values,
        average=fmean(known) if len(known) == len(benchmarks) else None,
        differences=differences,
        average_difference=_average(own, base, benchmarks, k, level, seed) if whole else None,
    )
    return row, problems


def _average(
    own: Mapping[str, Result], base: Mapping[str, Result], benchmarks: Sequence[str], k: int, level: float, seed: int
) -> Difference:
    """The difference of two rows' averages: a sum over tasks, each with its share of every column that has it."""
    shares: defaultdict[str, float] = defaultdict(float)
    columns: defaultdict[str, list[str]] = defaultdict(list)
    for name in benchmarks:
        before, after = task_scores(base[name], k), task_scores(own[name], k)
        for task_id, score in before.items():
            shares[task_id] += (after[task_id] - score) / len(before) / len(benchmarks)
            columns[task_id].append(name)
    groups: defaultdict[tuple[str, ...], Counter[float]] = defaultdict(Counter)
    for task_id, share in shares.items():
        groups[tuple(columns[task_id])][round(share, 12)] += 1
    low, high = bootstrap_sum(list(groups.values()), level, seed)
    return Difference(value=sum(shares.values()), low=low, high=high)


def bootstrap_sum(groups: Sequence[Mapping[float, int]], level: float, seed: int = 0) -> tuple[float, float]:
    """Percentile interval of a sum over tasks when the tasks of each group are drawn anew, with replacement.

    Args:
        groups: Of each group value → number of tasks that have it; see `compare.bootstrap_mean`.
    """
    import numpy as np  # loaded by this analysis only, not by each command

    draw, total = np.random.default_rng(seed), np.zeros(10_000)
    for values in groups:
        ordered = sorted(values)
        tasks = sum(values.values())
        counts = draw.multinomial(tasks, [values[value] / tasks for value in ordered], size=len(total))
        total += counts @ np.array(ordered, dtype=float)
    low, high = np.quantile(total, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
