"""Tasks, in our own schema or in columns of any name → the store; those without tests yet → instructions for synthesis.

In: whatever `iterpref.rows` reads, and which column holds what (`importing.columns`). Nothing is executed, and no model
is asked. Not here: how a row becomes a task (`rows/tasks.py`).
"""

from collections import Counter
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
from iterpref.task_tests import problem_of, with_entry_point

# What a row says beside its tests, which the store compares itself.
_SAID = ("prompt", "reference", "license", "split")


class Instruction(NamedTuple):
    """What a programmer is told, without tests; `license` is the source's."""

    text: str
    license: str


class TasksSummary(Record):
    """Rows that are tasks; of these `new` ones, and rows that are the same task as an earlier row (`repeated`).

    `entry_points_inferred`: tasks whose tests told what function they call; `prompts_completed`: those whose prompt got
    a line that names it; `references_corrected`: tasks that were there with another reference.
    """

    tasks: int
    new: int = 0
    repeated: int = 0
    entry_points_inferred: int = 0
    prompts_completed: int = 0
    references_corrected: int = 0


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
    before, seen, counts = store.count("tasks"), set[str](), Counter[str]()
    for row in rows:
        try:
            given = make(row)
            task = with_entry_point(given)
            if problem := problem_of(task):
                raise RecordError(f"{row.where}: task {task.task_id}: {problem}")
            store.put_tasks([task])
            corrected = _correct(row, given, task, store, again=task.task_id in seen)
        except (RecordError, StoreError) as error:
            refused.add(error)
            continue
        counts["tasks"] += 1
        counts["repeated"] += task.task_id in seen
        counts["entry_points_inferred"] += task.entry_point != given.entry_point
        counts["prompts_completed"] += task.prompt != given.prompt
        counts["references_corrected"] += corrected
        seen.add(task.task_id)
    refused.check(f"{counts['tasks']} tasks")
    return TasksSummary(**{"tasks": 0, **counts, "new": store.count("tasks") - before})


def _correct(row: SourceRow, given: Task, task: Task, store: Store, *, again: bool) -> bool:
    """Give a stored task the reference of a later source; whether it had another one.

    Raises:
        RecordError: The store, or an earlier row of this source (`again`), says something else under this id: what a
            row says must not be lost unsaid. A prompt that an earlier version stored may lack the function's name.
    """
    stored = store.task(task.task_id)
    names = [name for name in _SAID if getattr(task, name) != getattr(stored, name)]
    if stored.prompt == given.prompt and "prompt" in names:
        names.remove("prompt")
    if names == ["reference"] and not again:
        store.correct_reference(task.task_id, task.reference)
        return True
    if names:
        raise RecordError(
            f"{row.where}: task {task.task_id} is there with another {' and '.join(names)}; a stored task stays as it "
            "is, so give the changed one a new id"
        )
    return False


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
