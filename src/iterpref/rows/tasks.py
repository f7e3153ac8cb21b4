"""Row → Task: in the schema of `records.Task`, or in columns of any name; for import and for benchmarks alike.

Tests may be Python text, a list of such texts (MBPP's asserts), our own list of files, or inputs with outputs for
programs that read standard input. Nothing is executed, and no model is asked.
"""

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from iterpref.errors import ConfigError, RecordError
from iterpref.records import Message, Prompt, Style, Task, TestFile, fingerprint

from .columns import Columns
from .explain import did_you_mean, explain
from .row import SourceRow

TASK_COLUMNS = ("task_id", "prompt", "tests", "test_setup", "entry_point", "prefix", "reference", "license", "split")
_PROMPT: TypeAdapter[Prompt] = TypeAdapter(str | tuple[Message, ...])


def task_columns(given: Mapping[str, str]) -> Columns:
    """Our name of a task's part → the source's column; ConfigError for a part that tasks don't have."""
    unknown = [name for name in given if name not in TASK_COLUMNS]
    if unknown:
        raise ConfigError(
            f"importing.columns: tasks have no {unknown[0]}; expected some of {', '.join(TASK_COLUMNS)}, "
            f"as prompt: question{did_you_mean(unknown[0], TASK_COLUMNS)}"
        )
    return Columns(TASK_COLUMNS, given)


def schema_task(row: SourceRow) -> Task:
    """A row in the schema of `records.Task`, where tests may also be plain text; RecordError for any other."""
    values = row.values
    if isinstance(values.get("tests"), str | dict) or _texts(values.get("tests")):
        values = values | {"tests": _tests(row, "tests")[0]}
    try:
        return Task.model_validate(values)
    except ValidationError as error:
        raise explain(row.where, error, Task.model_fields) from None


def in_schema(row: SourceRow) -> bool:
    """Whether a row names what the schema asks of each task."""
    return row.values.keys() >= {"task_id", "prompt", "tests", "style"}


@dataclass(frozen=True)
class MappedTasks:
    """Rows with columns of the user's → tasks; RecordError for one that is none.

    Args:
        source: Names tasks without an id, and where they come from.
        style: How tests are run; `auto` goes by what they define.
        license: Of tasks that name none.
    """

    columns: Columns
    source: str
    style: Style | Literal["auto"] = "auto"
    license: str = ""

    def task(self, row: SourceRow) -> Task:
        columns = self.columns
        prompt = task_prompt(row, columns["prompt"])
        tests, found = _tests(row, columns["tests"])
        if setup := columns.text(row, "test_setup"):
            tests = tuple(test.model_copy(update={"content": f"{setup}\n{test.content}"}) for test in tests)
        given = {name: columns.text(row, name) for name in ("task_id", "entry_point", "prefix", "reference", "license")}
        asked = prompt if isinstance(prompt, str) else [turn.model_dump() for turn in prompt]
        identity = fingerprint([asked, [test.model_dump() for test in tests]])[:12]
        try:
            return Task(
                task_id=given["task_id"] or f"{self.source}/{identity}",
                prompt=prompt,
                tests=tests,
                style=found if self.style == "auto" else self.style,
                entry_point=given["entry_point"] or None,
                prefix=given["prefix"],
                reference=given["reference"] or None,
                license=given["license"] or self.license,
                split=columns.text(row, "split") or "train",
                origin=self.source,
            )
        except ValidationError as error:
            raise explain(row.where, error, Task.model_fields) from None


def task_prompt(row: SourceRow, column: str) -> Prompt:
    """What the programmer is told: text or messages; RecordError where there is none."""
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
    if _texts(value):
        text = "\n".join(value) + "\n"
        return (TestFile(path="test.py", content=text),), python_style(text)
    if isinstance(value, dict) and {"inputs", "outputs"} <= value.keys():
        return (TestFile(path="cases.jsonl", content=_stdio(row, column, value)),), "stdio"
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        try:
            files = tuple(TestFile.model_validate(item) for item in value)
        except ValidationError as error:
            raise explain(f"{row.where}: {column}", error) from None
        return files, _table_style(files) or python_style("\n".join(file.content for file in files))
    found = type(value).__name__ if value else "empty"
    raise RecordError(
        f"{row.where}: {column} is {found}; expected Python text, a list of asserts, a list of path and content, or "
        "inputs and outputs. A task needs tests; iterpref synthesize lets a model write them (synthesis.instructions)"
    )


def _texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, str) for item in value)


def _parsed(value: Any) -> Any:
    """Some data sets hold lists and objects as JSON text."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        with suppress(ValueError):
            return json.loads(value)
    return value


def _table_style(files: Sequence[TestFile]) -> Style | None:
    """Of tables of calls or of inputs, one JSON object a line; None for Python."""
    if not all(file.path.endswith(".jsonl") for file in files):
        return None
    return "stdio" if '"stdout"' in files[0].content.partition("\n")[0] else "calls"


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
