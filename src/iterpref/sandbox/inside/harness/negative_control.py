"""Negative controls: tests that passed run once more with every assertion turned around, and must now fail.

Each test that gets to its end fails with `<token> <assertions seen> <assertions that held>`; the program doesn't
know the token, so that one that reports for tests that didn't run, drops failures, or makes assertions hold stands out.
A program that looks for controls can still win: this detects tricks, it doesn't exclude them.
Not here: what an assertion's opposite is (flip_asserts.py), what the reports amount to (grading/control.py).
"""

import ast
import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..values.request import RunRequest
from .flip_asserts import SEEN, WRONG, flip_tests

WRONG_TEXT = "the negative control's answer"


class Reached(Exception):
    """A test came to its end under control."""


class Wrong:
    """Equals nothing, is ordered with nothing."""


class Control:
    """The turned tests of a run, made before the program is loaded, and what their assertions did."""

    def __init__(self, token: str, tests: Iterable[Sequence[str]], style: str) -> None:
        self._token = token
        self._seen = self._held = 0
        self.trees: dict[str, ast.Module] = {}
        if style != "doctest":
            self.trees = {path: flip_tests(ast.parse(text)) for path, text in tests if path.endswith(".py")}
        if style in ("unittest", "pytest"):
            for tree in self.trees.values():
                _import_names(tree)
        self.names: dict[str, Any] = {SEEN: self.seen, WRONG: Wrong()}

    def seen(self, failed: bool) -> None:
        """Called after each turned assertion."""
        self._seen += 1
        self._held += not failed

    def begin(self) -> None:
        """A test begins: what was seen while it was set up does not count for it, what held does."""
        self._seen = 0

    def reached(self) -> Reached:
        """The end of a test, with the count since the last one."""
        text = f"{self._token} {self._seen} {self._held}"
        self._seen = self._held = 0
        return Reached(text)

    def source(self, path: str, content: str) -> str:
        """What is to stand in a test file on disk."""
        return ast.unparse(self.trees[path]) if path in self.trees else content

    def wrap(self, test: Any) -> None:
        """Make the method of a `unittest.TestCase` raise `Reached` at its end."""
        name = test._testMethodName
        method = getattr(test, name)
        if not getattr(method, "__unittest_expecting_failure__", False):
            setattr(test, name, _with_end(method, self.reached))


current: dict[str, Any] = {}  # what the turned test files of unittest and pytest import


def prepare(request: RunRequest) -> Control:
    """The control that a request asks for."""
    control = Control(request["control"], request["tests"], request["mode"])
    current.update(control.names)
    return control


def __getattr__(name: str) -> Any:
    if name not in current:
        raise AttributeError(name)
    return current[name]


def _import_names(tree: ast.Module) -> None:
    """Put the import after the docstring and the imports from `__future__`."""
    line = ast.ImportFrom(__name__, [ast.alias(SEEN), ast.alias(WRONG)], 0)
    place = 0
    for index, statement in enumerate(tree.body):
        docstring = index == 0 and isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        if docstring or (isinstance(statement, ast.ImportFrom) and statement.module == "__future__"):
            place = index + 1
    tree.body.insert(place, line)
    ast.fix_missing_locations(tree)


def _with_end(method: Callable[..., Any], reached: Callable[[], Reached]) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(method):

        @functools.wraps(method)
        async def awaited(*args: Any) -> None:
            await method(*args)
            raise reached()

        return awaited

    @functools.wraps(method)
    def called(*args: Any) -> None:
        method(*args)
        raise reached()

    return called
