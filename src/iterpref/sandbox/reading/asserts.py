"""Take asserts apart: which calls they make with which constants, and what must hold of the results.

Walks the file in order, as Python would, without running it: constants bound to names are followed and loops over
constants unrolled. Looks only at the tests, never at the program, which could otherwise choose to be graded in its own
process. Not here: the calls in an expression (names.py), evaluation (expressions.py).
"""

import ast
import builtins
from typing import Any

from iterpref.programs import syntax_tree
from iterpref.records import Style, TestFile

from ..inside.harness.assert_syntax import check_call
from .expected_raise import expected_raise
from .names import Instance, Scope, Slot
from .own_operators import free_results
from .plan import CallPlan, Expectation, Unliftable


def lift(test: TestFile, style: Style, entry_point: str | None, found: CallPlan) -> None:
    """Add the calls and expectations of one file to `found`: of asserts at the top level, or in `check(candidate)`.

    Raises:
        Unliftable: With the construct that stands in the way.
        SyntaxError: The file isn't Python.
    """
    body = syntax_tree(test.content, test.path).body
    parameter = None
    if style == "check":
        body, parameter = _check_body(body)
        known = {name for name in (parameter, entry_point) if name}
    else:
        known = {entry_point} if entry_point else _inferred(body)
    _Lifter(test.path, Scope(known, parameter, entry_point, found), found).block(body)


def _check_body(body: list[ast.stmt]) -> tuple[list[ast.stmt], str]:
    """The statements of the file with those of `check` at the end, and the name of `check`'s parameter."""
    before: list[ast.stmt] = []
    check = None
    for statement in body:
        if isinstance(statement, ast.FunctionDef) and statement.name == "check":
            check = statement
        elif check_call(statement) is None:
            before.append(statement)
    if check is None or len(check.args.args) != 1:
        raise Unliftable("no check(candidate)")
    if any(isinstance(node, ast.Assert) for statement in before for node in ast.walk(statement)):
        raise Unliftable("assert outside check")
    return [*before, *check.body], check.args.args[0].arg


def _inferred(body: list[ast.stmt]) -> set[str]:
    """The functions that a file of bare asserts tests: the called names that aren't builtins, or the only one."""
    called, bound = set(), set()
    for node in (node for statement in body for node in ast.walk(statement)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            called.add(node.func.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            bound |= {alias.asname or alias.name for alias in node.names}
    own = {name for name in called if not hasattr(builtins, name)} - bound
    if len(own) > 1:
        return {name for name in own if not name[:1].isupper()}  # a class makes objects, which don't travel
    if own:
        return own
    return called if len(called) == 1 else set()  # a program may have the name of a builtin


class _Lifter:
    def __init__(self, path: str, scope: Scope, found: CallPlan) -> None:
        self._path = path
        self._scope = scope
        self._found = found
        self._functions: dict[str, ast.FunctionDef] = {}  # of the file, without parameters

    def block(self, body: list[ast.stmt]) -> None:
        """Walk statements, each by the method of its name."""
        for statement in body:
            handler = getattr(self, f"_{type(statement).__name__}", None)
            if handler is None:
                raise Unliftable(f"{type(statement).__name__}: {ast.unparse(statement)[:80]}")
            handler(statement)

    def _Pass(self, node: ast.Pass) -> None: ...

    def _Import(self, node: ast.Import | ast.ImportFrom) -> None:
        module = node.module if isinstance(node, ast.ImportFrom) else ""
        for alias in node.names:
            name = alias.asname or alias.name.split(".")[0]
            if isinstance(node, ast.Import) and name == alias.name == "math":
                continue
            run = {("", "asyncio"): f"{name}.run", ("asyncio", "run"): name}.get((module or "", alias.name), "")
            self._scope.bind_opaque(name, run)

    _ImportFrom = _Import

    def _FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> None:
        self._scope.bind_opaque(node.name)
        self._functions.pop(node.name, None)
        if isinstance(node, ast.FunctionDef) and not (ast.unparse(node.args) or node.decorator_list):
            self._functions[node.name] = node

    _AsyncFunctionDef = _ClassDef = _FunctionDef

    def _Assign(self, node: ast.Assign) -> None:
        targets = [target.id for target in node.targets if isinstance(target, ast.Name)]
        if len(targets) != len(node.targets):
            raise Unliftable(f"assignment: {ast.unparse(node)[:80]}")
        value: Any
        try:
            if self._scope.makes_solution(node.value):
                self._found.instances += 1
                value = Instance(self._found.instances)
            else:
                slots = self._scope.slots(node.value)
                if slots and id(node.value) not in slots:
                    raise Unliftable("a result in an expression bound to a name")
                value = Slot(slots[id(node.value)]) if slots else self._scope.constant(node.value)
        except Unliftable:
            if any(isinstance(n, ast.Call) and self._scope.is_program(n.func) for n in ast.walk(node.value)):
                raise
            for target in targets:
                self._scope.bind_opaque(target)
            return
        for target in targets:
            self._scope.bind(target, value)

    def _For(self, node: ast.For) -> None:
        if node.orelse:
            raise Unliftable("for ... else")
        for value in self._scope.constant(node.iter):
            self._unpack(node.target, value)
            self.block(node.body)

    def _unpack(self, target: ast.expr, value: Any) -> None:
        if isinstance(target, ast.Name):
            self._scope.bind(target.id, value)
        elif isinstance(target, ast.Tuple) and isinstance(value, tuple | list) and len(value) == len(target.elts):
            for part, item in zip(target.elts, value, strict=True):
                self._unpack(part, item)
        else:
            raise Unliftable(f"loop target {ast.unparse(target)}")

    def _Expr(self, node: ast.Expr) -> None:
        call = node.value if isinstance(node.value, ast.Call) else None
        name = getattr(call.func, "id", "") if call else ""
        if call and name in self._functions and name in self._scope.opaque:
            if call.args or call.keywords:
                raise Unliftable(f"statement: {ast.unparse(node)[:80]}")
            # `test_f()`, where the file defines `test_f`: as if its statements stood there.
            function = self._functions.pop(name)  # it can't call itself
            with self._scope.function():
                self.block(function.body)
            self._functions[name] = function
        elif name != "print" and not isinstance(node.value, ast.Constant | ast.Name):
            raise Unliftable(f"statement: {ast.unparse(node)[:80]}")

    def _Assert(self, node: ast.Assert) -> None:
        slots = self._scope.slots(node.test)
        name = f"{self._path} line {node.lineno}"
        free = free_results(node.test, {node: self._found.calls[index].function for node, index in slots.items()})
        self._found.expect(Expectation(name, node.test, self._scope.constants(), slots, free=free))

    def _Try(self, node: ast.Try | ast.With) -> None:
        call, types = expected_raise(node, self._scope.opaque) or (None, ())
        slots = self._scope.call(call) if call else None
        if call is None or slots is None:
            raise Unliftable(f"{type(node).__name__}: {ast.unparse(node)[:80]}")
        name = f"{self._path} line {node.lineno}"
        self._found.expect(Expectation(name, call, {}, slots, types))

    _With = _Try
