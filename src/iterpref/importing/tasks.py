"""Tasks, in our own schema or in columns of any name → Tasks; those without tests yet → instructions for synthesis.

In: whatever `iterpref.rows` reads, and which column holds what (`importing.columns`). Tests may be Python text, a list
of such texts (MBPP's asserts), our own list of files, or inputs with outputs for programs that read standard input.
Nothing is executed, and no model is asked.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from iterpref.config import ImportingConfig
from iterpref.errors import ConfigError, RecordError, StoreError
from iterpref.importing.columns import Columns, source_name
from iterpref.records import Message, Prompt, Record, Style, Task, TestFile, fingerprint
from iterpref.rows import RefusedRows, SourceRow, explain, read_rows, source_rows
from iterpref.store import Store

COLUMNS = ("task_id", "prompt", "tests", "test_setup", "entry_point", "prefix", "reference", "license", "split")
_PROMPT: TypeAdapter[Prompt] = TypeAdapter(str | tuple[Message, ...])


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
    return _put_tasks(store, read_rows(Path(path), refused), lambda row: Task.model_validate(row.values), refused)


def import_own_tasks(source: str, store: Store, settings: ImportingConfig) -> TasksSummary:
    """Add tasks from columns of the user's; importing again changes nothing.

    Raises:
        ConfigError: `columns` names something that tasks don't have.
        RecordError: No such source or column; or some rows are no tasks: then all others are imported.
    """
    columns, name = _columns(settings), source_name(source)
    refused = RefusedRows(name)
    rows = _rows_with(("prompt", "tests"), columns, source, settings, refused)
    return _put_tasks(store, rows, lambda row: _task(row, columns, settings, name), refused)


def _put_tasks(
    store: Store, rows: Iterator[SourceRow], make: Callable[[SourceRow], Task], refused: RefusedRows
) -> TasksSummary:
    tasks = 0
    for row in rows:
        try:
            store.put_tasks([make(row)])
            tasks += 1
        except ValidationError as error:
            refused.add(explain(row.where, error))
        except (RecordError, StoreError) as error:
            refused.add(error)
    refused.check(f"{tasks} tasks")
    return TasksSummary(tasks=tasks)


def read_instructions(source: str, settings: ImportingConfig) -> Iterator[Instruction]:
    """The instructions of a source; other columns than `prompt` and `license` don't matter.

    Raises:
        RecordError: No such source or column, or a row without an instruction.
    """
    columns = _columns(settings)
    refused = RefusedRows(source_name(source))
    for row in _rows_with(("prompt",), columns, source, settings, refused):
        prompt = _prompt(row, columns["prompt"])
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


def _columns(settings: ImportingConfig) -> Columns:
    unknown = [name for name in settings.columns if name not in COLUMNS]
    if unknown:
        raise ConfigError(
            f"importing.columns: tasks have no {unknown[0]}; expected some of {', '.join(COLUMNS)}, as prompt: question"
        )
    return Columns(COLUMNS, settings.columns)


def _task(row: SourceRow, columns: Columns, settings: ImportingConfig, source: str) -> Task:
    prompt = _prompt(row, columns["prompt"])
    tests, found = _tests(row, columns["tests"])
    if setup := columns.text(row, "test_setup"):
        tests = tuple(test.model_copy(update={"content": f"{setup}\n{test.content}"}) for test in tests)
    given = {name: columns.text(row, name) for name in ("task_id", "entry_point", "prefix", "reference", "license")}
    asked = prompt if isinstance(prompt, str) else [turn.model_dump() for turn in prompt]
    identity = fingerprint([asked, [test.model_dump() for test in tests]])[:12]
    return Task(
        task_id=given["task_id"] or f"{source}/{identity}",
        prompt=prompt,
        tests=tests,
        style=found if settings.style == "auto" else settings.style,
        entry_point=given["entry_point"] or None,
        prefix=given["prefix"],
        reference=given["reference"] or None,
        license=given["license"] or settings.license,
        split=columns.text(row, "split") or "train",
        origin=source,
    )


def _prompt(row: SourceRow, column: str) -> Prompt:
    value = row.values.get(column)
    try:
        prompt = _PROMPT.validate_python(value)
    except ValidationError:
        raise RecordError(f"{row.where}: {column} is {type(value).__name__}; expected text or messages") from None
    if not (prompt.strip() if isinstance(prompt, str) else prompt):
        raise RecordError(f"{row.where}: {column} is empty; expected what the programmer is told")
    return prompt


def _tests(row: SourceRow, column: str) -> tuple[tuple[TestFile, ...], Style]:
    """The tests of a row, and the style that their form shows."""
    value = _parsed(row.values.get(column))
    if isinstance(value, str) and value.strip():
        return (TestFile(path="test.py", content=value),), python_style(value)
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        text = "\n".join(value) + "\n"
        return (TestFile(path="test.py", content=text),), python_style(text)
    if isinstance(value, dict) and {"inputs", "outputs"} <= value.keys():
        return (TestFile(path="cases.jsonl", content=_stdio(row, column, value)),), "stdio"
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        try:
            files = tuple(TestFile.model_validate(item) for item in value)
        except ValidationError as error:
            raise explain(f"{row.where}: {column}", error) from None
        return files, python_style("\n".join(file.content for file in files))
    found = type(value).__name__ if value else "empty"
    raise RecordError(
        f"{row.where}: {column} is {found}; expected Python text, a list of asserts, a list of path and content, or "
        "inputs and outputs. A task needs tests; iterpref synthesize lets a model write them (synthesis.instructions)"
    )


def _parsed(value: Any) -> Any:
    """Some data sets hold lists and objects as JSON text."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        with suppress(ValueError):
            return json.loads(value)
    return value


def _stdio(row: SourceRow, column: str, value: dict[str, Any]) -> str:
    inputs, outputs = value["inputs"], value["outputs"]
    texts = isinstance(inputs, list) and isinstance(outputs, list) and len(inputs) == len(outputs) > 0
    if not texts or not all(isinstance(item, str) for item in [*inputs, *outputs]):
        raise RecordError(f"{row.where}: {column}: expected as many inputs as outputs, one or more, all texts")
    cases = ({"stdin": given, "stdout": wanted} for given, wanted in zip(inputs, outputs, strict=True))
    return "".join(json.dumps(case) + "\n" for case in cases)


def python_style(text: str) -> Style:
    """How Python tests want to be run, by what they define."""
    signs: dict[Style, str] = {
        "check": r"^def check\(",
        "unittest": r"\bunittest\b",
        "pytest": r"^(async )?def test|^class Test|^import pytest",
    }
    return next((style for style, sign in signs.items() if re.search(sign, text, re.MULTILINE)), "assert")
