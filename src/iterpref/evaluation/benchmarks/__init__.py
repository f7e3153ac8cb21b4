"""A benchmark's name → its tasks, and a hash that tells two versions of a dataset apart.

One file per benchmark: `playground` (made on the spot) and `tasks_file` (any JSONL of this package's `Task` schema).
"""

from collections.abc import Iterable
from pathlib import Path

from iterpref.errors import ConfigError
from iterpref.evaluation.benchmarks.playground import playground
from iterpref.evaluation.benchmarks.tasks_file import tasks_file
from iterpref.records import Task, as_messages, fingerprint

__all__ = ["dataset_hash", "load_benchmark"]


def load_benchmark(name: str, split: str | None = None, limit: int | None = None, seed: int = 0) -> list[Task]:
    """The tasks of a benchmark, in its own order.

    Args:
        name: `playground`, or the path of a JSONL file of tasks.
        split: Only tasks of this split; None for all (the playground always needs one).
        limit: Only the first so many.
        seed: Which of the playground's tasks; a file has no use for it.

    Raises:
        ConfigError: No such benchmark or file, or a split the playground doesn't have.
        RecordError: A line of the file is not a task, two tasks share an id, or no task is left.
    """
    if name == "playground":
        return playground(split, limit, seed)
    if not Path(name).suffix and not Path(name).exists():
        raise ConfigError(f"benchmark {name}: unknown; expected playground, or the path of a JSONL file of tasks")
    return tasks_file(Path(name), split, limit)


def dataset_hash(tasks: Iterable[Task]) -> str:
    """Identity of a set of tasks, whatever their order: ids, prompts, tests, limits. References don't count."""
    return fingerprint(sorted(_identity(task) for task in tasks))


def _identity(task: Task) -> list[str]:
    prompt = [message.model_dump() for message in as_messages(task.prompt)]
    surroundings = [prompt, task.program_path, task.limits.model_dump(), list(task.packages)]
    return [task.task_id, task.tests_hash, fingerprint(surroundings)]
