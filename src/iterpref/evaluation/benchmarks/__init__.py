"""A benchmark's name → its tasks, where they came from, and a hash that tells two versions of a dataset apart.

    with Sandbox() as sandbox:
        benchmark = load_benchmark("humaneval+", path="HumanEvalPlus.jsonl.gz", sandbox=sandbox)

One file per family says all there is to say about it (definition.py); registry.py lists them.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from iterpref.errors import RecordError
from iterpref.evaluation.benchmarks.definition import BenchmarkDefinition, BenchmarkOptions, Material, TaskChoice
from iterpref.evaluation.benchmarks.registry import NAMES, find
from iterpref.evaluation.benchmarks.releases import Loaded, PublishedRow, load
from iterpref.evaluation.benchmarks.tasks_file import TASKS_FILE
from iterpref.records import Task, as_messages, fingerprint
from iterpref.sandbox import Sandbox

__all__ = ["NAMES", "Benchmark", "BenchmarkDefinition", "TaskChoice", "dataset_hash", "load_benchmark"]


@dataclass(frozen=True)
class Benchmark:
    """Tasks under a name.

    Args:
        definition: What benchmark it is; default: tasks of one's own.
        place: Where the rows were found, in words.
        broken: Task id → why it can't be judged here; these are left out of `tasks`.
        preflight: Whether canonical solutions are to run before any model's.
    """

    name: str
    tasks: list[Task]
    definition: BenchmarkDefinition = TASKS_FILE
    place: str = ""
    broken: dict[str, str] = field(default_factory=dict)
    preflight: bool = False

    @property
    def difficulty(self) -> dict[str, str]:
        """Task id → difficulty, where there is anything to go by."""
        labels = {task.task_id: self.definition.difficulty(task) for task in self.tasks}
        return {task_id: label for task_id, label in labels.items() if label}


EVERYTHING = TaskChoice()


def load_benchmark(
    name: str, choice: TaskChoice = EVERYTHING, *, path: str | None = None, sandbox: Sandbox | None = None
) -> Benchmark:
    """A benchmark with its tasks in their own order.

    Args:
        name: One of `NAMES`, or the path of a JSONL file of tasks.
        path: Local file of a published benchmark; else an environment variable may name one, else it is downloaded.
        sandbox: Where expected outputs are computed that aren't in the cache yet.

    Raises:
        ConfigError: No such benchmark, file or option, it can't be downloaded, or the playground lacks the split.
        RecordError: A line of the file is not a task, two tasks share an id, or no task is left.
    """
    definition = find(name)
    if definition is None:
        definition, path = TASKS_FILE, name
    options = definition.read_options(choice.options)
    if definition.release:
        loaded = load(definition.release, path)
    else:
        loaded = Loaded([], f"file {Path(name).name}" if definition is TASKS_FILE else "")
    rows = _chosen(name, loaded.rows, options)[: choice.limit]
    tasks, broken = definition.make(Material(rows, choice, path, sandbox))
    return Benchmark(name, tasks, definition, loaded.place, broken, definition.preflight)


def _chosen(name: str, rows: list[PublishedRow], options: BenchmarkOptions) -> list[PublishedRow]:
    seen: set[str] = set()
    for number, row in enumerate(rows, start=1):
        identity = str(row.get("task_id", row.get("question_id")))
        if identity in seen:
            raise RecordError(f"benchmark {name}: row {number} repeats the task {identity}; expected each task once")
        seen.add(identity)
    return [row for row in rows if options.chooses(row)]


def dataset_hash(tasks: Iterable[Task]) -> str:
    """Identity of a set of tasks, whatever their order: ids, prompts, tests. References and limits don't count: limits
    are part of how programs were run, and partly measured on the machine at hand."""
    return fingerprint(sorted(_identity(task) for task in tasks))


def _identity(task: Task) -> list[str]:
    prompt = [message.model_dump() for message in as_messages(task.prompt)]
    return [task.task_id, task.tests_hash, fingerprint([prompt, task.program_path, list(task.packages)])]
