"""Each step by its name: a function of the lab that returns its record, and the steps whose records it reads.

In the order of plan.py's estimate, in which every step comes after those that it needs.
"""

from collections.abc import Callable, Collection
from functools import partial

from . import debugging
from .data import benchmark_tasks
from .diagnosis import diagnosis
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
    found |= {"pairs": own_pairs, "diagnosis": diagnosis}
    for method, rate in experiment.trainings():
        found[f"train-{training_name(method, rate)}"] = partial(train, method=method, rate=rate)
    found["validate-base"] = validate_base
    for entrant in ("base", *experiment.scale.methods):
        found[f"evaluate-{entrant}"] = partial(evaluate, entrant=entrant)
    return found


def needed_by(step: str, names: Collection[str]) -> set[str]:
    """Those of `names` that must be finished before this step."""
    kind, _, entrant = step.partition("-")
    if kind in ("sampling", "removed", "shuffled", "repairer"):
        return {"debugging"}
    if kind == "pairs":
        return {"debugging", "sampling"}
    if kind in ("diagnosis", "train"):
        return {"pairs"}
    if kind == "evaluate":  # a method's rate is chosen among all of its trainings
        return {name for name in names if name.startswith(f"train-{entrant}-")}
    return set()
