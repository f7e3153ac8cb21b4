"""Take tests apart into calls and judgements, so that expected values never enter the program's process.

In: a job's test files. Out: a `Plan`: the calls to make inside, and for each test an expression over their results,
which the host evaluates. Covered: call tables; asserts whose condition is an expression over calls with constant
arguments (`assert f([3, 1]) == [1, 3]`, `abs(f(2) - 1.41) < 1e-2`, `set(f(x)) == {1}`), at the top level or in
`check(candidate)`, with constants bound to names and loops over constants unrolled. Anything else raises `Unliftable`
and runs in the program's process. Not here: the comparison's outcome (grade.py).
"""

import ast
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from iterpref.errors import RecordError
from iterpref.programs import expression, syntax_tree
from iterpref.records import TestFile

from .codec import opaque_text as shown_value
from .expressions import BUILTINS, OPENERS, TYPES, Evaluator, Unsupported, arithmetic, type_check
from .frames import shorten
from .job import Job
from .runners import check_call

_MAX_CALLS = 20_000
_CUT = 300
_SPECIAL = {"inf": float("inf"), "nan": float("nan")}  # what repr() writes for them


class Unliftable(Exception):
    """These tests can't be taken apart; the message says which construct stands in the way."""


@dataclass(frozen=True)
class Call:
    """One call to make inside. `iterate`: an iterator result is to be run out, because the test opens it."""

    function: str
    args: list[Any]
    kwargs: dict[str, Any]
    iterate: bool
    text: str


@dataclass(frozen=True)
class Judgement:
    """One test: `condition` must hold once the nodes in `slots` are replaced by the results of those calls."""

    name: str
    condition: ast.expr
    names: dict[str, Any]
    slots: dict[int, int]


@dataclass
class Plan:
    calls: list[Call] = field(default_factory=list)
    judgements: list[Judgement] = field(default_factory=list)


class _Slot:
    """The result of call `index`, bound to a name."""

    def __init__(self, index: int) -> None:
        self.index = index


_GONE = object()  # a mutable constant that was an argument: the program may have changed it


def plan(job: Job) -> Plan:
    """The job's tests, taken apart.

    Raises:
        Unliftable: Some test isn't of a covered form; then none is taken apart.
        SyntaxError: A test file isn't Python.
        RecordError: A line of a call table can't be read.
    """
    found = Plan()
    for test in job.tests:
        if job.style == "calls":
            _table(job, test, found)
        elif job.style in ("assert", "check"):
            _Lifter(job, test, found).lift()
        else:
            raise Unliftable(f"style {job.style}")
    if not found.judgements:
        raise Unliftable("no assert found")
    return found


def rows(test: TestFile) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number, object) of a `calls` or `stdio` file."""
    for number, line in enumerate(test.content.splitlines(), 1):
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError as error:
                raise RecordError(f"{test.path} line {number}: not JSON ({error}); one object a line expected") from None
            if not isinstance(row, dict):
                raise RecordError(f"{test.path} line {number}: got {type(row).__name__}, expected an object")
            yield number, row


def _table(job: Job, test: TestFile, found: Plan) -> None:
    if not job.entry_point:
        raise RecordError(f"{test.path}: style calls needs the task's entry_point, got none")
    constant = Evaluator(_SPECIAL)
    for number, row in rows(test):
        try:
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
        found.calls.append(_call(job.entry_point, args, kwargs, iterate=False))
        found.judgements.append(Judgement(f"{test.path} line {number}", condition, _SPECIAL, slots))


def _call(function: str, args: list[Any], kwargs: dict[str, Any], iterate: bool) -> Call:
    shown = [*map(shown_value, args), *(f"{name}={shown_value(value)}" for name, value in kwargs.items())]
    return Call(function, args, kwargs, iterate, shorten(f"{function}({', '.join(shown)})", _CUT))


class _Lifter:
    """Walks one file of asserts in order, as Python would run it, without running it."""

    def __init__(self, job: Job, test: TestFile, found: Plan) -> None:
        self._job = job
        self._test = test
        self._found = found
        self._names: dict[str, Any] = {}
        self._opaque: set[str] = set()  # bound in the file to something not constant
        self._parameter: str | None = None
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
        }

    def lift(self) -> None:
        body = syntax_tree(self._test.content, self._test.path).body
        if self._job.style == "check":
            body = self._check_body(body)
        self._block(body)

    def _check_body(self, body: list[ast.stmt]) -> list[ast.stmt]:
        before, check = [], None
        for statement in body:
            if isinstance(statement, ast.FunctionDef) and statement.name == "check":
                check = statement
            elif check_call(statement) is None:
                before.append(statement)
        if check is None or len(check.args.args) != 1:
            raise Unliftable("no check(candidate)")
        if any(isinstance(node, ast.Assert) for statement in before for node in ast.walk(statement)):
            raise Unliftable("assert outside check")
        self._parameter = check.args.args[0].arg
        return [*before, *check.body]

    def _block(self, body: list[ast.stmt]) -> None:
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
            self._block(node.body)

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
        if not (isinstance(node.value, ast.Constant) or printed):
            raise Unliftable(f"statement: {ast.unparse(node)[:80]}")

    def _assert(self, node: ast.Assert) -> None:
        slots = self._slots(node.test)
        name = f"{self._test.path} line {node.lineno}"
        names = {key: value for key, value in self._names.items() if not isinstance(value, _Slot)}
        self._found.judgements.append(Judgement(name, node.test, names, slots))

    def _is_program(self, function: ast.expr) -> bool:
        """Whether a called name is the program's."""
        if not isinstance(function, ast.Name):
            return False
        name = function.id
        if name in (self._parameter, self._job.entry_point):
            return True
        if self._job.style == "check" or name in self._opaque or name in self._names:
            return False
        return name not in BUILTINS and name not in _KNOWN_BUILTINS and not name[:1].isupper()

    def _slots(self, node: ast.expr, opened: bool = False) -> dict[int, int]:
        """Register every call of the program in an expression; the rest must be something the host can evaluate."""
        if isinstance(node, ast.Call) and self._is_program(node.func):
            return {id(node): self._register(node, opened)}
        if isinstance(node, ast.Name):
            value = self._names.get(node.id)
            if isinstance(value, _Slot):
                return {id(node): value.index}
            if node.id not in self._names or value is _GONE:
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
                Evaluator(self._names)._function(node.func)
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
            if isinstance(part, ast.Name) and isinstance(self._names.get(part.id), list | dict | set | tuple):
                self._names[part.id] = _GONE
        function = node.func.id if isinstance(node.func, ast.Name) else ""
        function = self._job.entry_point or function if function == self._parameter else function
        self._found.calls.append(_call(function, args, kwargs, opened))
        return len(self._found.calls) - 1

    def _constant(self, node: ast.expr) -> Any:
        names = {k: v for k, v in self._names.items() if v is not _GONE and not isinstance(v, _Slot)}
        try:
            return Evaluator(names)(node)
        except Unsupported as error:
            raise Unliftable(str(error)) from None
        except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
            raise Unliftable(f"{type(error).__name__} in {ast.unparse(node)[:80]}") from None


_KNOWN_BUILTINS = frozenset(
    "enumerate zip map filter reversed print isinstance issubclass type hasattr getattr setattr callable id hash iter "
    "next open eval exec repr input vars dir pow divmod bin hex oct format slice super object property bytearray "
    "memoryview ascii globals locals compile delattr staticmethod classmethod __import__".split()
)
