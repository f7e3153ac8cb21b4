"""A benchmark's name → its tasks, where they came from, and a hash that tells two versions of a dataset apart.

    with Sandbox() as sandbox:
        benchmark = load_benchmark("humaneval+", path="HumanEvalPlus.jsonl.gz", sandbox=sandbox)

One file per family says all there is to say about it (definition.py); registry.py lists them. The way in for tasks of
one's own is a file of them (own.py).
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from iterpref.errors import ConfigError, RecordError
from iterpref.evaluation.benchmarks.definition import BenchmarkDefinition, Material, TaskChoice
from iterpref.evaluation.benchmarks.own import filed_tasks
from iterpref.evaluation.benchmarks.registry import NAMES, find
from iterpref.evaluation.benchmarks.releases import Loaded, PublishedRow, load
from iterpref.records import Task, as_messages, fingerprint
from iterpref.sandbox.remote import AnySandbox

__all__ = ["NAMES", "TASKS_FILE", "Benchmark", "BenchmarkDefinition", "TaskChoice", "dataset_hash", "load_benchmark"]

# What a benchmark is that has no name of its own.
TASKS_FILE = BenchmarkDefinition("own", filed_tasks)


@dataclass(frozen=True)
class Benchmark:
    """Tasks under a name.

    Args:
        definition: What benchmark it is; default: tasks of one's own.
        place: Where the rows were found, in words.
        broken: Task id → why it can't be judged here; these are left out of `tasks`.
        preflight: Whether canonical solutions are to run before any model's.
        outside: Gives the ids of tasks that the benchmark has and that were not chosen.
    """

    name: str
    tasks: list[Task]
    definition: BenchmarkDefinition = TASKS_FILE
    place: str = ""
    broken: dict[str, str] = field(default_factory=dict)
    preflight: bool = False
    outside: Callable[[], frozenset[str]] = frozenset

    @property
    def difficulty(self) -> dict[str, str]:
        """Task id → difficulty, where there is anything to go by."""
        labels = {task.task_id: self.definition.difficulty(task) for task in self.tasks}
        return {task_id: label for task_id, label in labels.items() if label}


def load_benchmark(
    name: str, choice: TaskChoice | None = None, *, path: str | None = None, sandbox: AnySandbox | None = None
) -> Benchmark:
    """A benchmark with its tasks in their own order.

    Args:
        name: One of `NAMES`, or the path of a file of tasks.
        choice: None for all of its tasks.
        path: Local file of a published benchmark; else an environment variable may name one, else it is downloaded.
        sandbox: Where expected outputs are computed that aren't in the cache yet.

    Raises:
        ConfigError: No such benchmark, file or option, it can't be downloaded, or the playground lacks the split.
        RecordError: A line of the file is not a task, two tasks share an id, or no task is left.
    """
    choice = choice or TaskChoice()
    definition = find(name)
    if definition is None:
        definition, path = TASKS_FILE, name
    options = definition.read_options(choice.options)
    if definition.release:
        loaded = load(definition.release, path)
    else:
        loaded = Loaded([], f"file {Path(name).name}" if definition is TASKS_FILE else "")
    _check_ids(definition, loaded.rows)
    chosen = [row for row in loaded.rows if options.chooses(row)]
    rows = _of_split(definition, chosen, choice.split)[: choice.limit]
    made = definition.make(Material(rows, choice, path, sandbox))
    left = {definition.task_id(row) for row in loaded.rows} - {definition.task_id(row) for row in rows}
    outside = made.outside if definition.release is None else lambda: frozenset(left)
    return Benchmark(name, made.tasks, definition, loaded.place, made.broken, definition.preflight, outside)


def _of_split(definition: BenchmarkDefinition, rows: list[PublishedRow], split: str | None) -> list[PublishedRow]:
    """The rows of a split; ConfigError if there are rows, and none of them is of it."""
    found = [row for row in rows if definition.in_split(row, split)]
    if definition.split_of and rows and not found:
        splits = Counter(definition.split_of(definition.task_id(row)) for row in rows)
        there = ", ".join(f"{name} ({count})" for name, count in splits.items())
        raise ConfigError(
            f"evaluation.split is {split}, but {definition.name} has {there}; name one of these, or null for all tasks"
        )
    return found


def _check_ids(definition: BenchmarkDefinition, rows: list[PublishedRow]) -> None:
    seen: set[str] = set()
    for number, row in enumerate(rows, start=1):
        identity = definition.task_id(row)
        if identity in seen:
            raise RecordError(
                f"benchmark {definition.name}: row {number} repeats the task {identity}; expected each task once"
            )
        seen.add(identity)


def dataset_hash(tasks: Iterable[Task]) -> str:
    """Identity of a set of tasks, whatever their order: ids, prompts, tests. References don't count, nor do limits,
    which are partly measured on the machine at hand."""
    return fingerprint(sorted(_identity(task) for task in tasks))


def _identity(task: Task) -> list[str]:
    prompt = [message.model_dump() for message in as_messages(task.prompt)]
    return [task.task_id, task.tests_hash, fingerprint([prompt, task.program_path, list(task.packages)])]
