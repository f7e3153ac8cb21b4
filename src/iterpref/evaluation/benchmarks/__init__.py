"""A benchmark's name → its tasks, where they came from, and a hash that tells two versions of a dataset apart.

    with Sandbox() as sandbox:
        benchmark = load_benchmark("humaneval+", path="HumanEvalPlus.jsonl.gz", sandbox=sandbox)

One file per family says all there is to say about it (definition.py); registry.py lists them. The way in for tasks of
one's own is a JSONL file, one `records.Task` a line.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from iterpref.errors import ConfigError, RecordError
from iterpref.evaluation.benchmarks.definition import BenchmarkDefinition, MadeTasks, Material, TaskChoice
from iterpref.evaluation.benchmarks.registry import NAMES, find
from iterpref.evaluation.benchmarks.releases import Loaded, PublishedRow, load
from iterpref.records import Task, as_messages, fingerprint
from iterpref.rows import BrokenRow, SourceRow, UnreadableSource, read_rows
from iterpref.sandbox import Sandbox

__all__ = ["NAMES", "TASKS_FILE", "Benchmark", "BenchmarkDefinition", "TaskChoice", "dataset_hash", "load_benchmark"]

_EXPECTED = "expected one JSON object a line with task_id, prompt, tests and style (see records.Task)"


def _filed(material: Material) -> MadeTasks:
    """The first `limit` tasks of one split (None: of all).

    Raises:
        ConfigError: The file can't be read.
        RecordError: A line is not a task, an id comes twice, or nothing is left.
    """
    path, choice = Path(material.path or ""), material.choice
    tasks = list(_tasks(path))
    chosen = [task for task in tasks if choice.split in (None, task.split)]
    if not chosen:
        splits = Counter(task.split for task in tasks)
        found = ", ".join(f"{name} ({count})" for name, count in splits.items()) or "no task at all"
        wanted = f"tasks of split {choice.split}" if choice.split is not None else "tasks"
        raise RecordError(f"{path}: no {wanted}; the file has {found}. Set evaluation.split, or null for every task")
    return MadeTasks(chosen[: choice.limit], {})


def _tasks(path: Path) -> Iterator[Task]:
    seen: dict[str, int] = {}
    for row in _rows(path):
        task = _task(row)
        first = seen.setdefault(task.task_id, row.number)
        if first != row.number:
            known = f"task {task.task_id} was on line {first} already"
            raise RecordError(f"{row.where}: {known}; give each task its own id")
        yield task


def _rows(path: Path) -> list[SourceRow]:
    try:
        return list(read_rows(path, name=str(path)))
    except UnreadableSource as error:
        raise ConfigError(f"{path}: can't read this benchmark ({error.reason}); check evaluation.benchmark") from None
    except BrokenRow as error:
        if error.byte is not None:
            raise ConfigError(f"{path}: not UTF-8 text (byte {error.byte}); expected JSONL, one task a line") from None
        what = "Input should be an object" if error.value is not None else f"Invalid JSON: {error.reason}"
        raise RecordError(f"{path}:{error.number}: not a task: {what}; {_EXPECTED}") from None


def _task(row: SourceRow) -> Task:
    try:
        return Task.model_validate(row.values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise RecordError(
            f"{row.where}: not a task: {f'{where}: ' if where else ''}{first['msg']}; {_EXPECTED}"
        ) from None


# What a benchmark is that has no name of its own.
TASKS_FILE = BenchmarkDefinition("own", _filed)


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


def load_benchmark(
    name: str, choice: TaskChoice | None = None, *, path: str | None = None, sandbox: Sandbox | None = None
) -> Benchmark:
    """A benchmark with its tasks in their own order.

    Args:
        name: One of `NAMES`, or the path of a JSONL file of tasks.
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
    _check_ids(name, loaded.rows)
    rows = [row for row in loaded.rows if options.chooses(row)][: choice.limit]
    tasks, broken = definition.make(Material(rows, choice, path, sandbox))
    return Benchmark(name, tasks, definition, loaded.place, broken, definition.preflight)


def _check_ids(name: str, rows: list[PublishedRow]) -> None:
    seen: set[str] = set()
    for number, row in enumerate(rows, start=1):
        identity = str(row.get("task_id", row.get("question_id")))
        if identity in seen:
            raise RecordError(f"benchmark {name}: row {number} repeats the task {identity}; expected each task once")
        seen.add(identity)


def dataset_hash(tasks: Iterable[Task]) -> str:
    """Identity of a set of tasks, whatever their order: ids, prompts, tests. References don't count, nor do limits,
    which are partly measured on the machine at hand."""
    return fingerprint(sorted(_identity(task) for task in tasks))


def _identity(task: Task) -> list[str]:
    prompt = [message.model_dump() for message in as_messages(task.prompt)]
    return [task.task_id, task.tests_hash, fingerprint([prompt, task.program_path, list(task.packages)])]
