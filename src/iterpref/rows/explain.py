"""What pydantic found wrong with a row → one line in plain words."""

import difflib
from collections.abc import Collection
from typing import Any

from pydantic import ValidationError

from iterpref.errors import RecordError

from .row import kind_in_words

# Kinds of pydantic's errors → what was expected.
_EXPECTED = {
    "string_type": "a text",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
}


def explain(where: str, error: ValidationError, known: Collection[str] = ()) -> RecordError:
    """The first thing wrong with a row, in one line; `known` are the fields that it may have."""
    problems = error.errors()
    # A misspelt name is both a field too many and one that is missing: the former says more.
    problem = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
    others = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    # A value that may be of several types has theirs in its place, too: `prompt.str`.
    name = ".".join(str(part) for part in problem["loc"] if part != "str" and "[" not in str(part))
    return RecordError(f"{where}: {_said(name, dict(problem), known)}{others}")


def _said(name: str, problem: dict[str, Any], known: Collection[str]) -> str:
    kind, value = problem["type"], problem["input"]
    if kind == "missing":
        return f"{name} is missing"
    if kind == "extra_forbidden":
        listed = f"; expected some of {', '.join(known)}" if known and "." not in name else ""
        return f"{name}: no such field{listed}{did_you_mean(name, known)}"
    if kind == "literal_error":
        expected = problem["ctx"]["expected"].replace("'", "")
        options = expected.replace(" or ", ", ").split(", ")
        return f"{name} is {value!r}; expected {expected}{did_you_mean(str(value), options)}"
    if kind in _EXPECTED:
        return f"{name} is {kind_in_words(value)}; expected {_EXPECTED[kind]}"
    message = problem["msg"].removeprefix("Value error, ")
    got = "" if kind == "value_error" else f", got {kind_in_words(value)}"
    return f"{f'{name}: ' if name else ''}{message}{got}"


def did_you_mean(name: str, known: Collection[str]) -> str:
    """`; did you mean prompt?`, or nothing where no known name is near."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""
