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


def test_statements(body: list[ast.stmt]) -> list[ast.stmt]:
    """The top-level statements of an `assert` file that count as tests; imports, definitions and set-up don't.

    Asserts, compound statements with asserts in them, and calls of the file's own functions with asserts in them:
    `test_f()`, `asyncio.run(main())`.
    """
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    asserting = {node.name for node in body if isinstance(node, functions) and _asserts(node)}
    compound = ast.For | ast.While | ast.With | ast.Try | ast.If
    return [
        node
        for node in body
        if isinstance(node, ast.Assert)
        or (isinstance(node, compound) and _asserts(node))
        or (isinstance(node, ast.Expr) and any(isinstance(n, ast.Name) and n.id in asserting for n in ast.walk(node)))
    ]


def _asserts(node: ast.AST) -> bool:
    return any(isinstance(part, ast.Assert) for part in ast.walk(node))


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
