"""A JSONL file, one `records.Task` a line, as a benchmark: the way in for tasks of one's own."""

from collections import Counter
from pathlib import Path

from pydantic import ValidationError

from iterpref.errors import ConfigError, RecordError
from iterpref.records import Task


def tasks_file(path: Path, split: str | None = None, limit: int | None = None) -> list[Task]:
    """Read the tasks of one split (None: all), the first `limit` of them; empty lines are skipped.

    Raises:
        ConfigError: The file can't be read.
        RecordError: A line is not a task, an id comes twice, or nothing is left.
    """
    tasks: list[Task] = []
    seen: dict[str, int] = {}
    splits: Counter[str] = Counter()
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        task = _task(path, number, line)
        if task.task_id in seen:
            raise RecordError(
                f"{path}:{number}: task {task.task_id} was on line {seen[task.task_id]} already; "
                "give each task its own id"
            )
        seen[task.task_id] = number
        splits[task.split] += 1
        if split is None or task.split == split:
            tasks.append(task)
    if not tasks:
        found = ", ".join(f"{name} ({count})" for name, count in splits.items()) or "no task at all"
        wanted = f"tasks of split {split}" if split is not None else "tasks"
        raise RecordError(f"{path}: no {wanted}; the file has {found}. Set evaluation.split, or null for every task")
    return tasks[:limit]


def _lines(path: Path) -> list[str]:
    """Lines end at a newline only: JSON strings may hold the other characters that `splitlines` breaks at."""
    try:
        return path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise ConfigError(f"{path}: can't read this benchmark ({error.strerror}); check evaluation.benchmark") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text (byte {error.start}); expected JSONL, one task a line") from None


def _task(path: Path, number: int, line: str) -> Task:
    try:
        return Task.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise RecordError(
            f"{path}:{number}: not a task: {f'{where}: ' if where else ''}{first['msg']}; "
            "expected one JSON object a line with task_id, prompt, tests and style (see records.Task)"
        ) from None
