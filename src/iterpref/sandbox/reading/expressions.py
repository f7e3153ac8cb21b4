"""Evaluate the expressions that tests are made of, over plain values, without running any of the program's code.

Literals, arithmetic, comparisons, subscripts, a few pure builtins, `math` and methods of `str`; no comprehensions. Work
is bounded, because results come from a hostile program. Everything else is `Unsupported`.
"""

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

from ..inside.harness.assert_syntax import COMPARISONS
from ..inside.values.codec import is_set_display
from ..inside.values.stand_ins import Iterated, Written

_MAX_ITEMS = _MAX_BITS = 1_000_000
OPENERS = ("list", "tuple", "set", "frozenset", "sorted", "sum", "min", "max", "any", "all", "dict")  # take an iterator


class Unsupported(Exception):
    """The expression is not of a form that can be evaluated here."""


class OwnMethod(Exception):
    """A method that texts have is asked of another result, which may have one of that name."""


def _range(*args: int) -> range:
    found = range(*args)
    if len(found) > _MAX_ITEMS:
        raise Unsupported("range too long")
    return found


def _set(*values: Any) -> set[Any]:
    (items,) = values or ((),)
    return Written(list(items)) if isinstance(items, list | tuple | str) else set(items)


BUILTINS: dict[str, Callable[..., Any]] = {
    "abs": abs, "all": all, "any": any, "bool": bool, "bytes": lambda text, *rest: bytes(text, *rest) if rest else text,
    "chr": chr, "complex": complex, "dict": dict, "float": float, "frozenset": frozenset, "int": int, "len": len,
    "list": list, "max": max, "min": min, "ord": ord, "range": _range, "round": round, "set": _set, "sorted": sorted,
    "str": str, "sum": sum, "tuple": tuple,
}  # fmt: skip
MATH = {
    name: getattr(math, name)
    for name in ("isclose", "sqrt", "floor", "ceil", "fabs", "isnan", "isinf", "pi", "e", "inf", "nan", "tau", "pow",
                 "log", "log2", "log10", "exp", "sin", "cos", "tan", "radians", "degrees", "gcd", "trunc", "hypot")
}  # fmt: skip
STR_METHODS = ("lower", "upper", "strip", "split", "startswith", "endswith", "count", "title", "splitlines")
TYPES = {kind.__name__: kind for kind in (bool, bytes, complex, dict, float, frozenset, int, list, set, str, tuple)}

_UNARY: dict[type, Callable[[Any], Any]] = {
    ast.UAdd: operator.pos, ast.USub: operator.neg, ast.Not: operator.not_, ast.Invert: operator.invert,
}  # fmt: skip
_BINARY: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: operator.pow, ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_, ast.BitXor: operator.xor,
}  # fmt: skip


class Evaluator:
    """`names`: what names stand for. `values`: by `id` of a node, what that node stands for."""

    def __init__(self, names: Mapping[str, Any], values: Mapping[int, Any] | None = None) -> None:
        self._names = names
        self._values = values or {}

    def __call__(self, node: ast.expr) -> Any:
        """The value of a node.

        Raises:
            Unsupported: A form not covered. Any other exception is what Python would have raised for the expression.
        """
        if id(node) in self._values:
            return self._values[id(node)]
        method = getattr(self, f"_{type(node).__name__}", None)
        if method is None:
            raise Unsupported(f"{type(node).__name__}: {ast.unparse(node)[:80]}")
        return method(node)

    def _Constant(self, node: ast.Constant) -> Any:
        if node.value is ...:
            raise Unsupported("...")
        return node.value

    def _Name(self, node: ast.Name) -> Any:
        if node.id not in self._names:
            raise Unsupported(f"name {node.id}")
        return self._names[node.id]

    def _List(self, node: ast.List) -> Any:
        return self._items(node.elts)

    def _Tuple(self, node: ast.Tuple) -> Any:
        return tuple(self._items(node.elts))

    def _Set(self, node: ast.Set) -> Any:
        return Written(self._items(node.elts), ast.unparse(node) if is_set_display(node) else "")

    def _Dict(self, node: ast.Dict) -> Any:
        if any(key is None for key in node.keys):
            raise Unsupported("**")
        return {self(key): self(value) for key, value in zip(node.keys, node.values, strict=True) if key is not None}

    def _items(self, nodes: list[ast.expr]) -> list[Any]:
        items: list[Any] = []
        for node in nodes:
            if isinstance(node, ast.Starred):
                items.extend(self(node.value))
            else:
                items.append(self(node))
        return items

    def _UnaryOp(self, node: ast.UnaryOp) -> Any:
        return _UNARY[type(node.op)](self(node.operand))

    def _BinOp(self, node: ast.BinOp) -> Any:
        if type(node.op) not in _BINARY:
            raise Unsupported(ast.unparse(node)[:80])
        left, right = self(node.left), self(node.right)
        _bound_work(node.op, left, right)
        return _BINARY[type(node.op)](left, right)

    def _BoolOp(self, node: ast.BoolOp) -> Any:
        stop_at = isinstance(node.op, ast.Or)
        value = None
        for part in node.values:
            value = self(part)
            if bool(value) is stop_at:
                break
        return value

    def _Compare(self, node: ast.Compare) -> Any:
        left = self(node.left)
        result: Any = True
        for op, part in zip(node.ops, node.comparators, strict=True):
            right = self(part)
            result = COMPARISONS[type(op).__name__](left, right)
            if not result:
                break
            left = right
        return result

    def _IfExp(self, node: ast.IfExp) -> Any:
        return self(node.body if self(node.test) else node.orelse)

    def _Subscript(self, node: ast.Subscript) -> Any:
        return self(node.value)[self(node.slice)]

    def _Slice(self, node: ast.Slice) -> Any:
        return slice(*(None if part is None else self(part) for part in (node.lower, node.upper, node.step)))

    def _Attribute(self, node: ast.Attribute) -> Any:
        if isinstance(node.value, ast.Name) and node.value.id == "math" and not callable(MATH.get(node.attr, max)):
            return MATH[node.attr]
        raise Unsupported(ast.unparse(node)[:80])

    def _Call(self, node: ast.Call) -> Any:
        if type_check(node):
            return isinstance(self(node.args[0]), self._type(node.args[1]))
        function = self.function(node.func)
        keywords = {k.arg: self(k.value) for k in node.keywords if k.arg is not None}
        arguments = self._items(node.args)
        if not (isinstance(node.func, ast.Name) and node.func.id in OPENERS) and any(
            isinstance(argument, Iterated) for argument in arguments
        ):
            raise TypeError(f"{ast.unparse(node.func)} can't take an iterator")
        return function(*arguments, **keywords)

    def function(self, node: ast.expr) -> Any:
        """What a called name stands for, if it is one of those allowed here."""
        if isinstance(node, ast.Name) and node.id in BUILTINS and node.id not in self._names:
            return BUILTINS[node.id]
        if isinstance(node, ast.Attribute):
            if isinstance(node.value, ast.Name) and node.value.id == "math" and callable(MATH.get(node.attr)):
                return MATH[node.attr]
            if node.attr in STR_METHODS:
                owner = self(node.value)
                if type(owner) is str:
                    return getattr(owner, node.attr)
                raise OwnMethod(node.attr)
        raise Unsupported(ast.unparse(node)[:80])

    def _type(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Tuple):
            return tuple(self._type(part) for part in node.elts)
        if isinstance(node, ast.Name) and node.id in TYPES:
            return TYPES[node.id]
        raise Unsupported(ast.unparse(node)[:80])


def type_check(node: ast.Call) -> bool:
    """Whether the call is `isinstance(value, types)`."""
    named = isinstance(node.func, ast.Name) and node.func.id == "isinstance"
    return named and len(node.args) == 2 and not node.keywords


def arithmetic(node: ast.BinOp) -> bool:
    """Whether the operator is one that can be evaluated here; `%` on a string is formatting and isn't."""
    formatting = isinstance(node.op, ast.Mod) and isinstance(getattr(node.left, "value", None), str)
    return type(node.op) in _BINARY and not formatting


def _bound_work(op: ast.operator, left: Any, right: Any) -> None:
    """Refuse arithmetic whose result is far larger than its operands."""
    if isinstance(op, ast.Mult):
        for count, sequence in ((left, right), (right, left)):
            sized = isinstance(sequence, str | bytes | list | tuple)
            if sized and isinstance(count, int) and count * len(sequence) > _MAX_ITEMS:
                raise Unsupported("a sequence too long")
    if isinstance(op, ast.Pow) and isinstance(left, int) and isinstance(right, int):  # noqa: SIM102
        if left.bit_length() * abs(right) > _MAX_BITS:
            raise Unsupported("an integer too large")
    if isinstance(op, ast.Mod) and isinstance(left, str | bytes):
        raise Unsupported("% on a string")  # "%999999999d" % x
