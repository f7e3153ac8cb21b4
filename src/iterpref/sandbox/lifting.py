"""Take asserts apart: which calls they make with which constants, and what must hold of the results.

In: one test file. Out: calls and judgements, added to a `Plan`. Walks the file in order, as Python would run it,
without running it: constants bound to names are followed and loops over constants unrolled. Looks only at the tests,
never at the program, which could otherwise choose to be judged in its own process.
Not here: evaluation (expressions.py).
"""

import ast
import builtins
from collections.abc import Callable
from typing import Any

from iterpref.programs import syntax_tree
from iterpref.records import Style, TestFile

from .expressions import OPENERS, TYPES, Evaluator, Unsupported, arithmetic, type_check
from .plan import Judgement, Plan, Unliftable, make_call
from .raising import expected_raise
from .runners import check_call

_MAX_CALLS = 20_000
SOLUTION = "Solution"  # the class of LeetCode-like programs


def lift(test: TestFile, style: Style, entry_point: str | None, found: Plan) -> None:
    """Add the calls and judgements of one file of asserts to `found`.

    Args:
        style: `assert` (asserts at the top level) or `check` (asserts in `check(candidate)`).

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
    _Lifter(test.path, known, parameter, entry_point, found).block(body)


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
    nodes = [node for statement in body for node in ast.walk(statement)]
    called = {node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    bound = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    bound |= {
        alias.asname or alias.name for n in nodes if isinstance(n, ast.Import | ast.ImportFrom) for alias in n.names
    }
    own = {name for name in called if not hasattr(builtins, name)} - bound
    if len(own) > 1:
        return {name for name in own if not name[:1].isupper()}  # a class makes objects, which don't travel
    return own or (called if len(called) == 1 else set())


class _Gone:
    """In place of a mutable constant that was an argument: the program may have changed it."""


class _Slot:
    """The result of call `index`, bound to a name."""

    def __init__(self, index: int) -> None:
        self.index = index


class _Instance:
    """A `Solution`, bound to a name. Each call gets a new one: what is judged this way keeps no state."""


class _Lifter:
    """Walks one file of asserts in order, as Python would run it, without running it."""

    def __init__(self, path: str, known: set[str], parameter: str | None, entry_point: str | None, found: Plan) -> None:
        self._path = path
        self._known = known  # the program's functions
        self._parameter = parameter
        self._entry_point = entry_point
        self._found = found
        self._names: dict[str, Any] = {}
        self._opaque: set[str] = set()  # bound in the file to something not constant
        self._handlers: dict[type, Callable[[Any], None]] = {
            ast.Assert: self._assert,
            ast.Assign: self._assign,
            ast.For: self._for,
            ast.Expr: self._expression,
            ast.Import: self._bind_opaque,
            ast.ImportFrom: self._bind_opaque,
            ast.FunctionDef: self._bind_opaque,
            ast.ClassDef: self._bind_opaque,
            ast.Pass: lambda _: None,
            ast.Try: self._raises,
            ast.With: self._raises,
        }

    def block(self, body: list[ast.stmt]) -> None:
        for statement in body:
            handler = self._handlers.get(type(statement))
            if handler is None:
                raise Unliftable(f"{type(statement).__name__}: {ast.unparse(statement)[:80]}")
            handler(statement)

    def _bind_opaque(self, node: ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef) -> None:
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.asname or alias.name.split(".")[0] for alias in node.names]
            if isinstance(node, ast.Import) and names == ["math"]:
                return
        else:
            names = [node.name]
        self._opaque.update(names)

    def _assign(self, node: ast.Assign) -> None:
        targets = [target.id for target in node.targets if isinstance(target, ast.Name)]
        if len(targets) != len(node.targets):
            raise Unliftable(f"assignment: {ast.unparse(node)[:80]}")
        try:
            if self._makes_solution(node.value):
                self._names |= {target: _Instance() for target in targets}
                return
            slots = self._slots(node.value)
            if slots and id(node.value) not in slots:
                raise Unliftable("a result in an expression bound to a name")
            value = _Slot(slots[id(node.value)]) if slots else self._constant(node.value)
        except Unliftable:
            if any(isinstance(n, ast.Call) and self._is_program(n.func) for n in ast.walk(node.value)):
                raise
            self._opaque.update(targets)
            return
        for target in targets:
            self._opaque.discard(target)
            self._names[target] = value

    def _for(self, node: ast.For) -> None:
        if node.orelse:
            raise Unliftable("for ... else")
        for value in self._constant(node.iter):
            self._unpack(node.target, value)
            self.block(node.body)

    def _unpack(self, target: ast.expr, value: Any) -> None:
        if isinstance(target, ast.Name):
            self._names[target.id] = value
        elif isinstance(target, ast.Tuple) and isinstance(value, tuple | list) and len(value) == len(target.elts):
            for part, item in zip(target.elts, value, strict=True):
                self._unpack(part, item)
        else:
            raise Unliftable(f"loop target {ast.unparse(target)}")

    def _expression(self, node: ast.Expr) -> None:
        printed = isinstance(node.value, ast.Call) and getattr(node.value.func, "id", "") == "print"
        if not (isinstance(node.value, ast.Constant | ast.Name) or printed):
            raise Unliftable(f"statement: {ast.unparse(node)[:80]}")

    def _assert(self, node: ast.Assert) -> None:
        slots = self._slots(node.test)
        name = f"{self._path} line {node.lineno}"
        names = {key: value for key, value in self._names.items() if not isinstance(value, _Slot | _Instance)}
        self._found.judgements.append(Judgement(name, node.test, names, slots))

    def _raises(self, node: ast.Try | ast.With) -> None:
        found = expected_raise(node, self._opaque)
        if found is None or not self._is_program(found.call.func):
            raise Unliftable(f"{type(node).__name__}: {ast.unparse(node)[:80]}")
        slots = self._slots(found.call)
        self._found.judgements.append(Judgement(f"{self._path} line {node.lineno}", found.call, {}, slots, found.types))

    def _is_program(self, function: ast.expr) -> bool:
        """Whether a called name is the program's, or a method of a new `Solution`."""
        if isinstance(function, ast.Attribute):
            owner = function.value
            if isinstance(owner, ast.Name):
                return isinstance(self._names.get(owner.id), _Instance)
            return isinstance(owner, ast.Call) and self._makes_solution(owner)
        if not isinstance(function, ast.Name) or function.id in self._opaque or function.id in self._names:
            return False
        return function.id in self._known

    def _makes_solution(self, node: ast.expr) -> bool:
        if not isinstance(node, ast.Call) or node.args or node.keywords or not isinstance(node.func, ast.Name):
            return False
        return node.func.id == SOLUTION and node.func.id not in self._opaque

    def _slots(self, node: ast.expr, opened: bool = False) -> dict[int, int]:
        """Register every call of the program in an expression; the rest must be something the host can evaluate."""
        if isinstance(node, ast.Call) and self._is_program(node.func):
            return {id(node): self._register(node, opened)}
        if isinstance(node, ast.Call) and self._awaits(node):
            return {id(node): self._register(node.args[0], opened)}  # type: ignore[arg-type]
        if isinstance(node, ast.Name):
            value = self._names.get(node.id)
            if isinstance(value, _Slot):
                return {id(node): value.index}
            if node.id not in self._names or isinstance(value, _Gone | _Instance):
                raise Unliftable(f"name {node.id}")
            return {}
        if isinstance(node, ast.Call):
            return self._wrapper(node)
        if isinstance(node, ast.Attribute):
            self._constant(node)
            return {}
        if not hasattr(Evaluator, f"_{type(node).__name__}"):
            raise Unliftable(f"{type(node).__name__}: {ast.unparse(node)[:80]}")
        if isinstance(node, ast.BinOp) and not arithmetic(node):
            raise Unliftable(f"operator: {ast.unparse(node)[:80]}")
        found: dict[int, int] = {}
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Starred):
                raise Unliftable("* in an expression")
            if isinstance(child, ast.expr):
                found |= self._slots(child)
        return found

    def _awaits(self, node: ast.Call) -> bool:
        """Whether the call is `asyncio.run(f(...))`; the harness awaits what a program's function returns."""
        if ast.unparse(node.func) != "asyncio.run" or "asyncio" not in self._opaque or len(node.args) != 1:
            return False
        return isinstance(node.args[0], ast.Call) and self._is_program(node.args[0].func)

    def _wrapper(self, node: ast.Call) -> dict[int, int]:
        if type_check(node):
            types = node.args[1].elts if isinstance(node.args[1], ast.Tuple) else [node.args[1]]
            if not all(isinstance(t, ast.Name) and t.id in TYPES and t.id not in self._opaque for t in types):
                raise Unliftable(f"isinstance: {ast.unparse(node)[:80]}")
            return self._slots(node.args[0])
        if isinstance(node.func, ast.Name) and node.func.id in self._opaque:
            raise Unliftable(f"call of {node.func.id}")
        found: dict[int, int] = {}
        if isinstance(node.func, ast.Attribute) and getattr(node.func.value, "id", "") != "math":
            found |= self._slots(node.func.value)
        try:
            if not found:
                Evaluator(self._names).function(node.func)
        except Unsupported as error:
            raise Unliftable(str(error)) from None
        opener = isinstance(node.func, ast.Name) and node.func.id in OPENERS
        for part in (*node.args, *(keyword.value for keyword in node.keywords)):
            found |= self._slots(part, opener)
        return found

    def _register(self, node: ast.Call, opened: bool) -> int:
        if len(self._found.calls) >= _MAX_CALLS:
            raise Unliftable(f"more than {_MAX_CALLS} calls")
        args: list[Any] = []
        for argument in node.args:
            if isinstance(argument, ast.Starred):
                args.extend(self._constant(argument.value))
            else:
                args.append(self._constant(argument))
        kwargs = {}
        for keyword in node.keywords:
            if keyword.arg is None:
                raise Unliftable("** in a call")
            kwargs[keyword.arg] = self._constant(keyword.value)
        for part in ast.walk(node):
            if isinstance(part, ast.Name) and _mutable(self._names.get(part.id)):
                self._names[part.id] = _Gone()
        function = node.func.id if isinstance(node.func, ast.Name) else f"{SOLUTION}().{getattr(node.func, 'attr', '')}"
        if function == self._parameter:
            if not self._entry_point:
                raise Unliftable("check(candidate) without an entry point")
            function = self._entry_point
        self._found.calls.append(make_call(function, args, kwargs, opened))
        return len(self._found.calls) - 1

    def _constant(self, node: ast.expr) -> Any:
        names = {k: v for k, v in self._names.items() if not isinstance(v, _Gone | _Slot | _Instance)}
        try:
            return Evaluator(names)(node)
        except Unsupported as error:
            raise Unliftable(str(error)) from None
        except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
            raise Unliftable(f"{type(error).__name__} in {ast.unparse(node)[:80]}") from None


def _mutable(value: Any) -> bool:
    return isinstance(value, list | dict | set) or (isinstance(value, tuple) and any(map(_mutable, value)))
