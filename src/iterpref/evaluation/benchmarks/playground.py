"""The playground's own tasks as a benchmark: made on the spot, no download, any number of them."""

from typing import get_args

from iterpref.errors import ConfigError
from iterpref.playground.tasks import Split, playground_tasks
from iterpref.records import Task

DEFAULT_TASKS = 300  # as many as the demo's `playground.held_out_tasks`


def playground(split: str | None, limit: int | None, seed: int = 0) -> list[Task]:
    """The first `limit` tasks of a split (None: `held_out`); no composition of steps is in two splits.

    Raises:
        ConfigError: A split that the playground doesn't have.
    """
    for known in get_args(Split):
        if (split or "held_out") == known:
            return playground_tasks(known, limit or DEFAULT_TASKS, seed)
    raise ConfigError(f"benchmark playground: split is {split}; expected one of {', '.join(get_args(Split))}")
