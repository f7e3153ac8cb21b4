"""What names stand for in a file of asserts, and which calls of the program an expression makes.

What isn't a call of the program must be something the host can evaluate; else `Unliftable`.
Not here: statements (asserts.py), evaluation (expressions.py).
"""

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from .expressions import OPENERS, STR_METHODS, TYPES, Evaluator, Unsupported, arithmetic, type_check
from .own_operators import identifies_results
from .plan import CallPlan, Unliftable, make_call

_MAX_CALLS = 20_000
SOLUTION = "Solution"  # the class of LeetCode-like programs


class Gone:
    """In place of a mutable constant that was an argument: the program may have changed it."""


@dataclass(frozen=True)
class Slot:
    """The result of call `index`, bound to a name."""

    index: int


@dataclass(frozen=True)
class Instance:
    """A `Solution`, bound to a name; `number` tells it from others of the job."""

    number: int


class Scope:
    """The names of a test file while it is walked.

    Args:
        known: The program's functions.
        parameter: What `check` calls the entry point, which then must be named.
        found: Takes the calls.
    """

    def __init__(self, known: set[str], parameter: str | None, entry_point: str | None, found: CallPlan) -> None:
        self._known = known
        self._parameter = parameter
        self._entry_point = entry_point
        self._found = found
        self.names: dict[str, Any] = {}
        self.opaque: set[str] = set()  # bound in the file to something not constant
        self._runs: set[str] = set()  # what `asyncio.run` is called in the file

    def bind(self, name: str, value: Any) -> None:
        """`name = value`: a constant, a `Slot` or an `Instance`."""
        self._unbind(name)
        self.names[name] = value

    def bind_opaque(self, name: str, run: str = "") -> None:
        """`name` now is something that can't be followed; `run`: how it gives `asyncio.run`, if it does."""
        self._unbind(name)
        self._runs |= {run} if run else set()
        self.opaque.add(name)

    def _unbind(self, name: str) -> None:
        self.names.pop(name, None)
        self.opaque.discard(name)
        self._runs = {text for text in self._runs if text.split(".")[0] != name}

    @contextmanager
    def function(self) -> Iterator[None]:
        """While a function of the file is walked: what it changed can't be followed afterwards."""
        names, opaque, runs = dict(self.names), set(self.opaque), self._runs
        yield
        changed = {name for name in names.keys() | self.names.keys() if names.get(name) is not self.names.get(name)}
        self._runs = runs
        for name in changed | (opaque ^ self.opaque):
            self.bind_opaque(name)

    def constants(self) -> dict[str, Any]:
        """What the names stand for that aren't results."""
        return {name: value for name, value in self.names.items() if not isinstance(value, Slot | Instance)}

    def is_program(self, function: ast.expr) -> bool:
        """Whether a called name is the program's, or a method of a new `Solution`."""
        if isinstance(function, ast.Attribute):
            owner = function.value
            if isinstance(owner, ast.Name):
                return isinstance(self.names.get(owner.id), Instance)
            return isinstance(owner, ast.Call) and self.makes_solution(owner)
        name = getattr(function, "id", "")
        return name in self._known and name not in self.opaque and name not in self.names

    def makes_solution(self, node: ast.expr) -> bool:
        if not isinstance(node, ast.Call) or node.args or node.keywords or not isinstance(node.func, ast.Name):
            return False
        return node.func.id == SOLUTION and node.func.id not in self.opaque

    def slots(self, node: ast.expr, opened: bool = False) -> dict[int, int]:
        """Register every call of the program in an expression; the rest must be something the host can evaluate."""
        if isinstance(node, ast.Call) and (made := self.call(node, opened)) is not None:
            return made
        if isinstance(node, ast.Name):
            value = self.names.get(node.id)
            if isinstance(value, Slot):
                return {id(node): value.index}
            if node.id not in self.names or isinstance(value, Gone | Instance):
                raise Unliftable(f"name {node.id}")
            return {}
        if isinstance(node, ast.Call):
            return self._wrapper(node)
        if isinstance(node, ast.Attribute):
            self.constant(node)
            return {}
        if not hasattr(Evaluator, f"_{type(node).__name__}"):
            raise Unliftable(f"{type(node).__name__}: {ast.unparse(node)[:80]}")
        if isinstance(node, ast.BinOp) and not arithmetic(node):
            raise Unliftable(f"operator: {ast.unparse(node)[:80]}")
        if isinstance(node, ast.Dict) and None in node.keys:
            raise Unliftable("** in a dict")
        found: dict[int, int] = {}
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Starred):
                raise Unliftable("* in an expression")
            if isinstance(child, ast.expr):
                found |= self.slots(child)
        if isinstance(node, ast.Compare) and identifies_results(node, found):
            raise Unliftable(f"identity: {ast.unparse(node)[:80]}")
        return found

    def call(self, node: ast.Call, opened: bool = False) -> dict[int, int] | None:
        """Register the call if it is the program's: `f(...)`, or `asyncio.run(f(...))`, which must get a coroutine."""
        if self.is_program(node.func):
            return {id(node): self._register(node, opened, awaited=False)}
        inner = node.args[0] if len(node.args) == 1 and not node.keywords else None
        if isinstance(inner, ast.Call) and self.is_program(inner.func) and ast.unparse(node.func) in self._runs:
            return {id(node): self._register(inner, opened, awaited=True)}
        return None

    def _wrapper(self, node: ast.Call) -> dict[int, int]:
        if type_check(node):
            types = node.args[1].elts if isinstance(node.args[1], ast.Tuple) else [node.args[1]]
            if not all(isinstance(t, ast.Name) and t.id in TYPES and t.id not in self.opaque for t in types):
                raise Unliftable(f"isinstance: {ast.unparse(node)[:80]}")
            return self.slots(node.args[0])
        if isinstance(node.func, ast.Name) and node.func.id in self.opaque:
            raise Unliftable(f"call of {node.func.id}")
        found: dict[int, int] = {}
        if isinstance(node.func, ast.Attribute) and getattr(node.func.value, "id", "") != "math":
            if node.func.attr not in STR_METHODS:
                raise Unliftable(f"method {node.func.attr}")
            found |= self.slots(node.func.value)
        try:
            if not found:
                Evaluator(self.names).function(node.func)
        except Unsupported as error:
            raise Unliftable(str(error)) from None
        opener = isinstance(node.func, ast.Name) and node.func.id in OPENERS
        for part in (*node.args, *(keyword.value for keyword in node.keywords)):
            found |= self.slots(part, opener)
        return found

    def _register(self, node: ast.Call, opened: bool, awaited: bool) -> int:
        if len(self._found.calls) >= _MAX_CALLS:
            raise Unliftable(f"more than {_MAX_CALLS} calls")
        args = self.constant(ast.List(node.args, ast.Load()))
        kwargs = {}
        for keyword in node.keywords:
            if keyword.arg is None:
                raise Unliftable("** in a call")
            kwargs[keyword.arg] = self.constant(keyword.value)
        for part in ast.walk(node):
            if isinstance(part, ast.Name) and _mutable(self.names.get(part.id)):
                self.names[part.id] = Gone()
        function = self._written(node.func)
        if function == self._parameter:
            if not self._entry_point:
                raise Unliftable("check(candidate) without an entry point")
            function = self._entry_point
        self._found.calls.append(make_call(function, args, kwargs, opened, awaited))
        return len(self._found.calls) - 1

    def _written(self, function: ast.expr) -> str:
        """`f`, `Solution().f`, or `Solution()@1.f` of one that is bound to a name."""
        if not isinstance(function, ast.Attribute):
            return str(getattr(function, "id", ""))
        bound = self.names.get(getattr(function.value, "id", ""))
        return f"{SOLUTION}(){f'@{bound.number}' if isinstance(bound, Instance) else ''}.{function.attr}"

    def constant(self, node: ast.expr) -> Any:
        names = {k: v for k, v in self.names.items() if not isinstance(v, Gone | Slot | Instance)}
        try:
            return Evaluator(names)(node)
        except Unsupported as error:
            raise Unliftable(str(error)) from None
        except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
            raise Unliftable(f"{type(error).__name__} in {ast.unparse(node)[:80]}") from None


def _mutable(value: Any) -> bool:
    return isinstance(value, list | dict | set) or (isinstance(value, tuple) and any(map(_mutable, value)))
