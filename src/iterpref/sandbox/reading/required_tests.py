"""What test files say before anything runs: how many tests must report, which function `check` gets, which cases."""

import ast
import doctest
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from iterpref.errors import RecordError
from iterpref.programs import syntax_tree
from iterpref.records import Style, TestFile

from ..inside.harness.assert_syntax import check_call, is_conftest, test_statements
from ..inside.harness.flip_asserts import SEEN, flip_tests
from ..job import Job
from .plan_tests import json_rows

_FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef


def required_tests(job: Job) -> list[str]:
    """Names of the tests counted in the source, each of which must report."""
    if job.style == "doctest":
        return [name for name, _ in _examples(job)]
    names: list[str] = []
    for test in _python_tests(job):
        body = syntax_tree(test.content, test.path).body
        if job.style == "check":
            names.append(test.path)
        elif job.style == "assert":
            names += [f"{test.path} line {s.lineno}" for s in test_statements(body)]
        elif not is_conftest(test.path):
            names += _test_functions(body, job.style)
    return names


def can_not_fail(job: Job) -> set[str]:
    """Names of the tests that a negative control can't turn around: doctest examples that expect no output."""
    return {name for name, example in _examples(job) if not example.want} if job.style == "doctest" else set()


def _examples(job: Job) -> Iterator[tuple[str, doctest.Example]]:
    for test in job.tests:
        for example in doctest.DocTestParser().get_examples(test.content):
            yield f"{test.path} line {example.lineno + 1}", example


def asserting(job: Job) -> set[str]:
    """Names of the tests that can't come to their end without an assertion that a control turns around."""
    if job.style == "doctest":
        return set()
    return {name for test in _python_tests(job) for name in _asserting(test, job.style)}


def _asserting(test: TestFile, style: Style) -> Iterator[str]:
    turned = flip_tests(syntax_tree(test.content, test.path))
    functions = [node for node in ast.walk(turned) if isinstance(node, _FUNCTIONS)]
    if style == "check":
        yield from [test.path] if any(_reached(f.body) for f in functions if f.name == "check") else []
    elif style == "assert":
        plain = syntax_tree(test.content, test.path)
        for old, new in zip(plain.body, turned.body, strict=True):
            if _reached([new]):
                yield f"{test.path} line {old.lineno}"
    else:
        yield from (function.name for function in functions if any(map(_is_turned, function.body)))


def _reached(body: Sequence[ast.stmt]) -> bool:
    """Whether statements that run to their end come to a turned assertion: under an `if` or in a handler, who knows."""
    parts = [statement for statement in body if isinstance(statement, ast.For | ast.While | ast.With | ast.AsyncWith)]
    tries = [statement.body + statement.finalbody for statement in body if isinstance(statement, ast.Try)]
    probed = [node.body for node in body if isinstance(node, ast.If) and getattr(node.test, "value", False) is True]
    return any(map(_is_turned, body)) or any(map(_reached, [*(part.body for part in parts), *tries, *probed]))


def _is_turned(statement: ast.stmt) -> bool:
    """Whether it is what `flip_tests` makes of one assertion."""
    last = statement.orelse[-1:] if isinstance(statement, ast.Try) else []
    return any(isinstance(node, ast.Name) and node.id == SEEN for part in last for node in ast.walk(part)
               ) and isinstance(last[0], ast.Expr)  # fmt: skip


def _python_tests(job: Job) -> list[TestFile]:
    """All but the data that tests of a framework read."""
    return [test for test in job.tests if job.style not in ("unittest", "pytest") or test.path.endswith(".py")]


def _test_functions(body: Sequence[ast.stmt], style: str) -> list[str]:
    names = []
    for node in body:
        if isinstance(node, ast.ClassDef):
            named = [ast.unparse(base) for base in node.bases]
            collected = any(name.endswith("TestCase") for name in named) or (
                style == "pytest" and node.name.startswith("Test") and not named
            )
            names += _test_functions(node.body, "pytest") if collected else []
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and style == "pytest":
            fixture = any(ast.unparse(decorator).split("(")[0].endswith("fixture") for decorator in node.decorator_list)
            names += [node.name] if node.name.startswith("test") and not fixture else []
    return names


def checked_name(job: Job) -> str | None:
    """The function that a test file hands to `check`, where the task doesn't name one."""
    for test in job.tests:
        for statement in syntax_tree(test.content).body:
            call = check_call(statement)
            if call is not None and call.args and isinstance(call.args[0], ast.Name):
                return call.args[0].id
    return None


class StdioCase(NamedTuple):
    """What a script reads, and what it must print; `match`: how the two outputs are compared."""

    name: str
    stdin: str
    stdout: str
    match: Literal["lines", "numbers"] = "lines"


def stdio_cases(job: Job) -> Iterator[StdioCase]:
    """Each case; `RecordError` if a line can't be read."""
    for test in job.tests:
        for number, row in json_rows(test):
            if not isinstance(row.get("stdin", ""), str) or not isinstance(row.get("stdout"), str):
                raise RecordError(f"{test.path} line {number}: expected the texts stdin and stdout, got {sorted(row)}")
            match = row.get("match", "lines")
            if match not in ("lines", "numbers"):
                raise RecordError(f"{test.path} line {number}: match is {match!r}; expected lines or numbers")
            yield StdioCase(f"{test.path} line {number}", row.get("stdin", ""), row["stdout"], match)
