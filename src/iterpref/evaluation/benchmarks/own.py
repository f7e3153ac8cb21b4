"""Tasks of the user's as a benchmark: whatever file of them `iterpref import` reads, in our schema or in any columns.

One reader (`rows/tasks.py`) serves both, so that a file that can be imported can be evaluated on, with the same ids
and prompts.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from iterpref.config import ImportingConfig
from iterpref.errors import ConfigError, RecordError
from iterpref.evaluation.benchmarks.definition import MadeTasks, Material
from iterpref.records import Task
from iterpref.rows import (
    TASK_COLUMNS,
    BrokenRow,
    MappedTasks,
    SourceRow,
    UnreadableSource,
    in_schema,
    read_rows,
    schema_task,
    source_rows,
    task_columns,
)
from iterpref.task_tests import with_entry_point

_EXPECTED = (
    "expected one JSON object a line with task_id, prompt, tests and style (see records.Task), or columns named by "
    "importing.columns, as --set importing.columns.tests=NAME --set importing.columns.prompt=NAME"
)


def filed_tasks(material: Material) -> MadeTasks:
    """The first `limit` tasks of one split (None: of all).

    Raises:
        ConfigError: The file can't be read.
        RecordError: A line is not a task, an id comes twice, or nothing is left.
    """
    path, choice = Path(material.path or ""), material.choice
    tasks = list(_tasks(path, choice.form))
    chosen = [task for task in tasks if choice.split in (None, task.split)][: choice.limit]
    if not chosen:
        splits = Counter(task.split for task in tasks)
        found = ", ".join(f"{name} ({count})" for name, count in splits.items()) or "no task at all"
        wanted = f"tasks of split {choice.split}" if choice.split is not None else "tasks"
        raise RecordError(f"{path}: no {wanted}; the file has {found}. Set evaluation.split, or null for every task")
    ids = {task.task_id for task in chosen}
    return MadeTasks(chosen, {}, lambda: frozenset(task.task_id for task in tasks if task.task_id not in ids))


def _tasks(path: Path, form: ImportingConfig) -> Iterator[Task]:
    seen: dict[str, int] = {}
    make: Callable[[SourceRow], Task] | None = None
    for row in _rows(path, form):
        make = make or _maker(row, form, path.name)
        try:
            task = with_entry_point(make(row))
        except RecordError as error:
            raise RecordError(f"{error}; not a task: {_EXPECTED}") from None
        first = seen.setdefault(task.task_id, row.number)
        if first != row.number:
            known = f"task {task.task_id} was on line {first} already"
            raise RecordError(f"{row.where}: {known}; give each task its own id")
        yield task


def _maker(first: SourceRow, form: ImportingConfig, source: str) -> Callable[[SourceRow], Task]:
    """How rows like the first become tasks: by our schema, else by the columns of its prompt and tests."""
    # What pairs have beside these says nothing about tasks.
    given = {name: column for name, column in form.columns.items() if name in TASK_COLUMNS}
    tests = given.get("tests", "tests")
    mapped = tests in first.values and not (in_schema(first) and tests == "tests")
    return MappedTasks(task_columns(given), source, form.style, form.license).task if mapped else schema_task


def _rows(path: Path, form: ImportingConfig) -> list[SourceRow]:
    try:
        return list(source_rows(str(path), form.part) if path.is_dir() else read_rows(path, name=str(path)))
    except UnreadableSource as error:
        raise ConfigError(f"{path}: can't read this benchmark ({error.reason}); check evaluation.benchmark") from None
    except BrokenRow as error:
        if error.byte is not None:
            raise ConfigError(f"{path}: not UTF-8 text (byte {error.byte}); expected JSONL, one task a line") from None
        what = "Input should be an object" if error.value is not None else f"Invalid JSON: {error.reason}"
        raise RecordError(f"{path}:{error.number}: not a task: {what}; {_EXPECTED}") from None
