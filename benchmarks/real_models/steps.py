"""Each step by its name: a function of the lab that returns its record. In the order of plan.py's estimate."""

from collections.abc import Callable
from functools import partial

from . import debugging
from .data import benchmark_tasks
from .evaluation import evaluate
from .lab import Lab
from .pairs import own_pairs
from .plan import Experiment, training_name
from .records import Record
from .training import train, validate_base

Step = Callable[[Lab], Record]


def steps(experiment: Experiment) -> dict[str, Step]:
    found: dict[str, Step] = {
        "benchmarks": lambda lab: benchmark_tasks(lab.experiment),
        "debugging": debugging.own_repairs,
        "sampling": debugging.sampling,
        "removed": debugging.removed,
        "shuffled": debugging.shuffled,
    }
    if experiment.repairer:
        found["repairer"] = debugging.repairer
    found["pairs"] = own_pairs
    for method, rate in experiment.trainings():
        found[f"train-{training_name(method, rate)}"] = partial(train, method=method, rate=rate)
    found["validate-base"] = validate_base
    for entrant in ("base", *experiment.scale.methods):
        found[f"evaluate-{entrant}"] = partial(evaluate, entrant=entrant)
    return found
