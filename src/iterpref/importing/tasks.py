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
    DEFAULT_PART,
    Columns,
    DatasetPart,
    MappedTasks,
    RefusedRows,
    SourceRow,
    schema_task,
    source_name,
    source_rows,
    task_columns,
    task_prompt,
)
from iterpref.store import Store

# What a row says beside its tests, which the store compares itself.
_SAID = ("prompt", "reference", "license", "split")


class Instruction(NamedTuple):
    """What a programmer is told, without tests; `license` is the source's."""

    text: str
    license: str


class TasksSummary(Record):
    """Rows that are tasks; of these `new` ones, and rows that are the same task as an earlier row (`repeated`)."""

    tasks: int
    new: int = 0
    repeated: int = 0


def import_tasks(source: str | Path, store: Store, part: DatasetPart = DEFAULT_PART) -> TasksSummary:
    """Add the tasks of a source in the schema of `records.Task`; those that are there already stay as they are.

    Raises:
        RecordError: The source can't be read, or some rows are no tasks (no tests, unknown fields) or change a stored
            task; all others are imported.
    """
    refused = RefusedRows(source_name(source))
    return _put_tasks(store, source_rows(str(source), part, refused), schema_task, refused)


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
    before, tasks, repeated = store.count("tasks"), 0, 0
    seen: set[str] = set()
    for row in rows:
        try:
            task = make(row)
            store.put_tasks([task])
            _check_unchanged(row, task, store.task(task.task_id))
        except (RecordError, StoreError) as error:
            refused.add(error)
            continue
        tasks += 1
        repeated += task.task_id in seen
        seen.add(task.task_id)
    refused.check(f"{tasks} tasks")
    return TasksSummary(tasks=tasks, new=store.count("tasks") - before, repeated=repeated)


def _check_unchanged(row: SourceRow, task: Task, stored: Task) -> None:
    """RecordError where the store holds something else under this id: what a row says must not be lost unsaid."""
    names = [name for name in _SAID if getattr(task, name) != getattr(stored, name)]
    if names:
        raise RecordError(
            f"{row.where}: task {task.task_id} is there with another {' and '.join(names)}; a stored task stays as it "
            "is, so give the changed one a new id"
        )


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
    rows = source_rows(source, settings.part, refused)
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
