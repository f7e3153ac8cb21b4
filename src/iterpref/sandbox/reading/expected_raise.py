"""Read "this call must raise" in its usual forms:

try: f(-1); assert False          try: f(-1)                         with pytest.raises(ValueError):
except ValueError: pass           except ValueError: pass                f(-1)
                                  else: assert False
"""

import ast

_CATCH_ALL = {"AssertionError", "Exception", "BaseException"}  # they catch the `assert False` too


ExpectedRaise = tuple[ast.Call, tuple[str, ...]]  # the call, and names of exception classes


def expected_raise(node: ast.Try | ast.With, imported: set[str]) -> ExpectedRaise | None:
    """The call and what it must raise; `imported` are the names the test file has imported or defined."""
    return _of_try(node) if isinstance(node, ast.Try) else _of_with(node, imported)


def _of_try(node: ast.Try) -> ExpectedRaise | None:
    if len(node.handlers) != 1 or node.finalbody:
        return None
    (handler,) = node.handlers
    types = _names(handler.type)
    call = _only_call(node.body[:1])
    if call is None or not types or not all(map(_says_nothing, handler.body)):
        return None
    in_body, in_else = list(map(_fails, node.body[1:])), list(map(_fails, node.orelse))
    if (in_body, in_else) not in (([True], []), ([], [True])):
        return None  # what follows the call is not exactly one `assert False`
    if in_body and not _CATCH_ALL.isdisjoint(types):
        return None  # passes whatever the call does
    return call, types


def _of_with(node: ast.With, imported: set[str]) -> ExpectedRaise | None:
    context = node.items[0].context_expr
    if len(node.items) != 1 or node.items[0].optional_vars or not isinstance(context, ast.Call):
        return None
    name = ast.unparse(context.func)
    if name not in ("pytest.raises", "raises") or name.split(".")[0] not in imported:
        return None
    call = _only_call(node.body)
    types = _names(context.args[0]) if len(context.args) == 1 and not context.keywords else ()
    return (call, types) if call is not None and types else None


def _only_call(body: list[ast.stmt]) -> ast.Call | None:
    if len(body) == 1 and isinstance(body[0], ast.Expr | ast.Assign) and isinstance(body[0].value, ast.Call):
        return body[0].value
    return None


def _names(node: ast.expr | None) -> tuple[str, ...]:
    parts = node.elts if isinstance(node, ast.Tuple) else [node]
    names = tuple(part.id for part in parts if isinstance(part, ast.Name))
    return names if len(names) == len(parts) else ()


def _says_nothing(statement: ast.stmt) -> bool:
    said = statement.test if isinstance(statement, ast.Assert) else getattr(statement, "value", None)
    if isinstance(statement, ast.Expr) and isinstance(said, ast.Call) and getattr(said.func, "id", "") == "print":
        return True
    constant = isinstance(statement, ast.Expr | ast.Assert) and isinstance(said, ast.Constant)
    return isinstance(statement, ast.Pass) or (constant and not _fails(statement))


def _fails(statement: ast.stmt) -> bool:
    """`assert False`, or `raise AssertionError(...)`."""
    if isinstance(statement, ast.Assert):
        return isinstance(statement.test, ast.Constant) and not statement.test.value
    return isinstance(statement, ast.Raise) and "AssertionError" in ast.unparse(statement)
