"""How asserts are read, alike by the host, who counts and evaluates them, and by the harness. Pure."""

import ast
import operator
from collections.abc import Callable
from typing import Any

COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {  # by the names of their syntax nodes
    "Eq": operator.eq, "NotEq": operator.ne, "Lt": operator.lt, "LtE": operator.le, "Gt": operator.gt,
    "GtE": operator.ge, "Is": operator.is_, "IsNot": operator.is_not, "In": lambda a, b: a in b,
    "NotIn": lambda a, b: a not in b,
}  # fmt: skip


_DOING = ast.Assert | ast.Expr | ast.For | ast.While | ast.With | ast.Try | ast.If


def test_statements(body: list[ast.stmt]) -> list[ast.stmt]:
    """The top-level statements of an `assert` file that count as tests; imports, definitions and set-up don't.

    Asserts, other statements with asserts in them, and those that name a function of the file which asserts, or calls
    one that does: `test_f()`, `ok = asyncio.run(main())`, `if __name__ == "__main__": run_all()`.
    """
    functions = [node for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    asserting: set[str] = set()
    while more := {node.name for node in functions if _asserts(node, asserting)} - asserting:
        asserting |= more
    return [
        node
        for node in body
        if (isinstance(node, _DOING) and _asserts(node, asserting))
        or (isinstance(node, ast.Assign) and any(_asserts(c.func, asserting) for c in _calls(node)))
    ]


def _asserts(node: ast.AST, asserting: set[str]) -> bool:
    return any(isinstance(part, ast.Assert) or getattr(part, "id", "") in asserting for part in ast.walk(node))


def _calls(node: ast.AST) -> list[ast.Call]:
    return [part for part in ast.walk(node) if isinstance(part, ast.Call)]


def is_conftest(path: str) -> bool:
    """Whether a test file holds pytest's fixtures and hooks, and no tests."""
    return path.rpartition("/")[2] == "conftest.py"


def check_call(statement: ast.stmt) -> ast.Call | None:
    """The call if the statement is `check(f)`."""
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        call = statement.value
        if isinstance(call.func, ast.Name) and call.func.id == "check":
            return call
    return None
