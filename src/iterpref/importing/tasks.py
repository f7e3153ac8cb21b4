"""Tasks, in our own schema or in columns of any name → the store; those without tests yet → instructions for synthesis.

In: whatever `iterpref.rows` reads, and which column holds what (`importing.columns`). Nothing is executed, and no model
is asked. Not here: how a row becomes a task (`rows/tasks.py`).
"""

from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from iterpref.config import ImportingConfig
from iterpref.errors import RecordError, StoreError
from iterpref.records import Record, Task
from iterpref.rows import (
    Columns,
    MappedTasks,
    RefusedRows,
    SourceRow,
    read_rows,
    schema_task,
    source_name,
    source_rows,
    task_columns,
    task_prompt,
)
from iterpref.store import Store


class Instruction(NamedTuple):
    """What a programmer is told, without tests; `license` is the source's."""

    text: str
    license: str


class TasksSummary(Record):
    """How many tasks a file added."""

    tasks: int


def import_tasks(path: str | Path, store: Store) -> TasksSummary:
    """Add the tasks of a file in the schema of `records.Task`; those that are there already stay as they are.

    Raises:
        RecordError: The file can't be read, or some rows are no tasks (no tests, unknown fields) or change the tests of
            a stored task; all others are imported.
    """
    refused = RefusedRows(Path(path).name)
    return _put_tasks(store, read_rows(Path(path), refused), schema_task, refused)


def import_own_tasks(source: str, store: Store, settings: ImportingConfig) -> TasksSummary:
    """Add tasks from columns of the user's; importing again changes nothing.

    Raises:
        ConfigError: `columns` names something that tasks don't have.
        RecordError: No such source or column; or some rows are no tasks: then all others are imported.
    """
    columns, name = task_columns(settings.columns), source_name(source)
    refused = RefusedRows(name)
    rows = _rows_with(("prompt", "tests"), columns, source, settings, refused)
    return _put_tasks(store, rows, MappedTasks(columns, name, settings.style, settings.license).task, refused)


def _put_tasks(
    store: Store, rows: Iterator[SourceRow], make: Callable[[SourceRow], Task], refused: RefusedRows
) -> TasksSummary:
    tasks = 0
    for row in rows:
        try:
            store.put_tasks([make(row)])
            tasks += 1
        except (RecordError, StoreError) as error:
            refused.add(error)
    refused.check(f"{tasks} tasks")
    return TasksSummary(tasks=tasks)


def read_instructions(source: str, settings: ImportingConfig) -> Iterator[Instruction]:
    """The instructions of a source; other columns than `prompt` and `license` don't matter.

    Raises:
        RecordError: No such source or column, or a row without an instruction.
    """
    columns = task_columns(settings.columns)
    refused = RefusedRows(source_name(source))
    for row in _rows_with(("prompt",), columns, source, settings, refused):
        prompt = task_prompt(row, columns["prompt"])
        text = prompt if isinstance(prompt, str) else "\n\n".join(turn.content for turn in prompt)
        yield Instruction(text.strip(), columns.text(row, "license") or settings.license)
    refused.check("nothing is imported by this step")


def _rows_with(
    needed: tuple[str, ...], columns: Columns, source: str, settings: ImportingConfig, refused: RefusedRows
) -> Iterator[SourceRow]:
    """Rows of a source whose first one has the columns that are needed; else one RecordError, not one a row."""
    rows = source_rows(source, settings.split, refused)
    first = next(rows, None)
    if first is None:
        raise RecordError(refused.shown[0] if refused.count else f"{source}: no rows; expected tasks")
    for name in needed:
        if columns[name] not in first.values:
            message = (
                f"{first.where}: no column {columns[name]!r} for {name}; its columns are {', '.join(first.values)}; "
                f"name the right one, importing.columns.{name}"
            )
            if name == "tests":
                message += "; for tasks without tests let a model write them: iterpref synthesize "
                message += f"--set synthesis.instructions={source}"
            raise RecordError(message)
    return chain([first], rows)
