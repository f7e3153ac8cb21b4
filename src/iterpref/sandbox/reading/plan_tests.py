"""Take tests apart into calls and expectations, so that expected values never enter the program's process.

Covered: call tables; asserts (asserts.py) whose condition is an expression over calls with constant arguments
(`assert f([3, 1]) == [1, 3]`, `abs(f(2) - 1.41) < 1e-2`, `set(f(x)) == {1}`), at the top level or in
`check(candidate)`. Anything else is `Unliftable` and runs in the program's process.
"""

import ast
import functools
import json
from collections.abc import Iterator
from typing import Any

from iterpref.errors import RecordError
from iterpref.programs import expression
from iterpref.records import Style, TestFile

from ..call_tables import CallRow, read_row
from ..job import Job
from .asserts import lift
from .expressions import Evaluator, Unsupported
from .plan import CallPlan, CallTable, Expectation, Unliftable, make_call

_SPECIAL = {"inf": float("inf"), "nan": float("nan")}  # what repr() writes for them


def plan_tests(job: Job) -> CallPlan:
    """The job's tests, taken apart.

    Raises:
        Unliftable: Some test isn't of a covered form; then none is taken apart.
        SyntaxError: A test file isn't Python.
        RecordError: A line of a call table can't be read.
    """
    found = _plan(job.tests, job.style, job.entry_point)
    if isinstance(found, Unliftable):
        raise found
    return found


@functools.lru_cache(maxsize=256)  # a task's tests are used for many programs
def _plan(tests: tuple[TestFile, ...], style: Style, entry_point: str | None) -> CallPlan | Unliftable:
    found = CallPlan()
    try:
        for test in tests:
            if style == "calls":
                _table(test, entry_point, found)
            elif style in ("assert", "check"):
                lift(test, style, entry_point, found)
            else:
                return Unliftable(f"style {style}")
    except Unliftable as reason:
        return reason.with_traceback(None)
    return found if found.expectations or found.tables else Unliftable("no assert found")


def json_rows(test: TestFile) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number, object) of a `calls` or `stdio` file."""
    for number, line in enumerate(test.content.splitlines(), 1):
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError as error:
                text = f"{test.path} line {number}: not JSON ({error}); one object a line expected"
                raise RecordError(text) from None
            if not isinstance(row, dict):
                raise RecordError(f"{test.path} line {number}: got {type(row).__name__}, expected an object")
            yield number, row


def _table(test: TestFile, entry_point: str | None, found: CallPlan) -> None:
    if not entry_point:
        raise RecordError(f"{test.path}: style calls needs the task's entry_point, got none")
    constant = Evaluator(_SPECIAL)
    table: list[CallRow] = []
    for number, row in json_rows(test):
        if "input" in row:  # of the form that call_tables.py reads
            table.append(read_row(f"{test.path} line {number}", row))
            continue
        try:
            if other := [name for name in ("args", "kwargs", "expected") if not isinstance(row.get(name, ""), str)]:
                raise TypeError(f"{other[0]} is {type(row[other[0]]).__name__}")
            args = constant(expression(row["args"]))
            kwargs = constant(expression(row.get("kwargs", "{}")))
            expected = expression(row["expected"])
            constant(expected)
            args, kwargs = list(args), dict(kwargs)
        except (KeyError, SyntaxError, Unsupported, TypeError, ValueError) as error:
            raise RecordError(
                f"{test.path} line {number}: {type(error).__name__}: {error}; expected the keys args, expected and "
                "perhaps kwargs, each the text of a Python literal"
            ) from None
        slot = ast.Name("result", ast.Load())
        condition = ast.Compare(slot, [ast.Eq()], [expected])
        slots = {id(slot): len(found.calls)}
        found.calls.append(make_call(entry_point, args, kwargs, iterate=False))
        found.expectations.append(Expectation(f"{test.path} line {number}", condition, _SPECIAL, slots))
    if table:
        found.tables.append(CallTable(test.path, entry_point, table))
