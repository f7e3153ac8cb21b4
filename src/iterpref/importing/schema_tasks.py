"""Tasks in our own schema (`records.Task`), one JSON object a line → tasks of a run."""

from pathlib import Path

from pydantic import BaseModel, ValidationError

from iterpref.errors import RecordError, StoreError
from iterpref.records import Task
from iterpref.rows import RefusedRows, SourceRow, explain, read_rows
from iterpref.store import Store


class TasksSummary(BaseModel):
    """How many tasks a file added."""

    tasks: int


def import_tasks(path: str | Path, store: Store) -> TasksSummary:
    """Add the tasks of a file to a run; those that are there already stay as they are.

    Raises:
        RecordError: The file can't be read, or some rows are no tasks (no tests, unknown fields) or change the tests of
            a stored task; all others are imported.
    """
    path = Path(path)
    refused = RefusedRows(path.name)
    tasks = 0
    for row in read_rows(path, refused):
        try:
            store.put_tasks([_task(row)])
            tasks += 1
        except (RecordError, StoreError) as error:
            refused.add(error)
    refused.check(f"{tasks} tasks")
    return TasksSummary(tasks=tasks)


def _task(row: SourceRow) -> Task:
    try:
        return Task.model_validate(row.values)
    except ValidationError as error:
        raise explain(row.where, error) from None
