"""The playground's own tasks as a benchmark: made on the spot, no download, any number of them."""

from typing import get_args

from iterpref.errors import ConfigError
from iterpref.evaluation.benchmarks.definition import BenchmarkDefinition, MadeTasks, Material
from iterpref.playground.tasks import Split, playground_tasks

DEFAULT_TASKS = 300  # as many as the demo's `playground.held_out_tasks`


def _make(material: Material) -> MadeTasks:
    """Tasks of a split (None: `held_out`); ConfigError for one that the playground doesn't have."""
    choice = material.choice
    for known in get_args(Split):
        if (choice.split or "held_out") == known:
            return MadeTasks(playground_tasks(known, choice.limit or DEFAULT_TASKS, choice.seed), {})
    raise ConfigError(f"benchmark playground: split is {choice.split}; expected one of {', '.join(get_args(Split))}")


BENCHMARKS = (BenchmarkDefinition("playground", _make, validation_split="validation", preflight=False),)
