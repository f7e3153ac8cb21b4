"""The model before and after training on HumanEval+ and MBPP+, greedy; and the two tests that were fixed before.

Only tasks count that are neither trained nor tuned on nor close to such a task (data.py). The tests are exact McNemar
tests on both benchmarks pooled, with Holm's correction over the two. Everything else is descriptive.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from iterpref import pipeline
from iterpref.analysis.compare import bootstrap_mean, holm, mcnemar_p
from iterpref.analysis.taxonomy import failure_kind
from iterpref.evaluation.benchmarks.evalplus import BASE, PLUS
from iterpref.records import Result, Sample
from iterpref.run_folder import RunFolder

from .lab import Lab
from .pairs import TRAINING
from .plan import BENCHMARKS, training_name
from .records import Record
from .training import chosen_rate

PRIMARY, SECOND = ("base", "target_rpo"), ("dpo", "target_dpo")
LEVEL, POWER = 0.05, 0.8


def evaluate(lab: Lab, entrant: str) -> Record:
    """`base`, or a method at its rate → by benchmark and task the kind of failure, and whether base tests pass."""
    rate = None if entrant == "base" else chosen_rate(lab, entrant)
    few = [f"evaluation.tasks={count}"] if (count := lab.experiment.scale.evaluated) else []
    scores: Record = {}
    for name in BENCHMARKS:
        config = lab.experiment.config("evaluate", f"evaluation.benchmark={name}", *few)
        with lab.opened(f"evaluation/{entrant}", config) as run:
            result = pipeline.evaluate(run, _model(lab, entrant, rate))
        scores[name] = outcomes(result)
    return {"entrant": entrant, "rate": rate, "scores": scores}


def _model(lab: Lab, entrant: str, rate: float | None) -> str:
    if rate is None:
        return lab.experiment.model
    return str(RunFolder(lab.folder(TRAINING)).training(training_name(entrant, rate)) / "adapter")


def outcomes(result: Result) -> dict[str, tuple[str, bool]]:
    return {s.task_id: (failure_kind(s.execution, s.completion), _passes_base(s)) for s in result.samples}


def _passes_base(sample: Sample) -> bool:
    verdicts = {test.name: test.verdict for test in sample.execution.tests}
    return sample.execution.passed or (PLUS in verdicts and verdicts.get(BASE) == "passed")


@dataclass(frozen=True)
class Paired:
    """Two models on the same tasks; `difference` is second minus first, `low` and `high` bound it at 95 %."""

    first: str
    second: str
    tasks: int
    won: int
    lost: int
    difference: float
    low: float
    high: float
    p: float


def counted(benchmarks: Record, entrant: Record, names: Sequence[str] = BENCHMARKS) -> dict[str, tuple[str, bool]]:
    """Task → the outcome of an entrant, over these benchmarks, without near-duplicates."""
    return {
        f"{name}:{task_id}": outcome
        for name in names
        for task_id, outcome in entrant["scores"][name].items()
        if task_id not in benchmarks[name]["near_duplicates"]
    }


def paired(benchmarks: Record, first: Record, second: Record) -> Paired:
    """Two records of `evaluate`, pooled."""
    before, after = ({task: not kind for task, (kind, _) in counted(benchmarks, entrant).items()}
                     for entrant in (first, second))  # fmt: skip
    differences = [after[task] - passed for task, passed in before.items()]
    won, lost = differences.count(1), differences.count(-1)
    low, high = bootstrap_mean(Counter(map(float, differences)))
    mean = sum(differences) / len(differences)
    return Paired(
        first["entrant"], second["entrant"], len(differences), won, lost, mean, low, high, mcnemar_p(won, lost)
    )


def fixed_tests(records: Mapping[str, Record]) -> list[tuple[str, Paired, float]]:
    """Name, test and p after Holm's correction of those two tests whose models are there."""
    found = []
    for name, (first, second) in (("primary", PRIMARY), ("second", SECOND)):
        if f"evaluate-{first}" in records and f"evaluate-{second}" in records:
            sides = records[f"evaluate-{first}"], records[f"evaluate-{second}"]
            found.append((name, paired(records["benchmarks"], *sides)))
    adjusted = holm([test.p for _, test in found])
    return [(name, test, p) for (name, test), p in zip(found, adjusted, strict=True)]


def smallest_difference(tasks: int, differing: float, level: float = LEVEL / 2, power: float = POWER) -> float | None:
    """The smallest gain in pass@1 that the exact McNemar test finds with this power.

    Args:
        tasks: How many there are.
        differing: Share of tasks that just one of the two models solves.
        level: Of the two-sided test; half of 0.05 is what Holm asks of the smaller of two p-values.

    Returns:
        None if not even `differing` itself, all of it gained, is found.
    """
    low, high = 0.0, 1.0
    if _power(tasks, differing, 1.0, level) < power:
        return None
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (low, middle) if _power(tasks, differing, middle, level) >= power else (middle, high)
    return high * differing


def _power(tasks: int, differing: float, lead: float, level: float) -> float:
    """Of the exact test, to find more won than lost, where a task that differs is won with chance (1 + lead) / 2."""
    total = 0.0
    for count in range(tasks + 1):
        weight, needed = _binomial(tasks, count, differing), _needed(count, level)
        if needed is not None and weight > 1e-9:
            total += weight * sum(_binomial(count, won, (1 + lead) / 2) for won in range(needed, count + 1))
    return total


@cache
def _needed(count: int, level: float) -> int | None:
    """How many of so many tasks that differ must be won; None if not even all of them are enough."""
    return next((won for won in range(count // 2 + 1, count + 1) if mcnemar_p(won, count - won) <= level), None)


def _binomial(trials: int, hits: int, chance: float) -> float:
    if chance in (0.0, 1.0):
        return float(hits == trials * chance)
    logs = math.lgamma(trials + 1) - math.lgamma(hits + 1) - math.lgamma(trials - hits + 1)
    return math.exp(logs + hits * math.log(chance) + (trials - hits) * math.log1p(-chance))
