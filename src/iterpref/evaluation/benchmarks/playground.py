"""The playground's own tasks as a benchmark: made on the spot, no download, any number of them."""

from functools import partial
from typing import get_args

from iterpref.errors import ConfigError
from iterpref.evaluation.benchmarks.definition import BenchmarkDefinition, MadeTasks, Material
from iterpref.playground.puzzles import Split
from iterpref.playground.tasks import playground_tasks

DEFAULT_TASKS = 300  # as many as the demo's `playground.held_out_tasks`


def _make(material: Material) -> MadeTasks:
    """Tasks of a split (None: `held_out`); ConfigError for one that the playground doesn't have."""
    choice = material.choice
    for known in get_args(Split):
        if (choice.split or "held_out") == known:
            tasks = playground_tasks(known, choice.limit or DEFAULT_TASKS, choice.seed)
            return MadeTasks(tasks, {}, partial(_outside, known, len(tasks), choice.seed))
    raise ConfigError(f"benchmark playground: split is {choice.split}; expected one of {', '.join(get_args(Split))}")


def _outside(split: Split, chosen: int, seed: int) -> frozenset[str]:
    """Ids of the tasks after the first `chosen`, as many as there are without a limit."""
    return frozenset(task.task_id for task in playground_tasks(split, max(DEFAULT_TASKS, chosen), seed)[chosen:])


BENCHMARKS = (BenchmarkDefinition("playground", _make, validation_split="validation", preflight=False),)
