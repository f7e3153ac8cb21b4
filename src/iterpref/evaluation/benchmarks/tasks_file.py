"""A JSONL file, one `records.Task` a line, as a benchmark: the way in for tasks of one's own."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from iterpref.errors import ConfigError, RecordError
from iterpref.evaluation.benchmarks.definition import BenchmarkDefinition, MadeTasks, Material
from iterpref.records import Task
from iterpref.rows import BrokenRow, SourceRow, UnreadableSource, read_rows

_EXPECTED = "expected one JSON object a line with task_id, prompt, tests and style (see records.Task)"


def _make(material: Material) -> MadeTasks:
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
TASKS_FILE = BenchmarkDefinition("own", _make)
