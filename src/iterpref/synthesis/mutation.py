"""Program → programs with one small fault each (mutants): tests that are any good fail on most of them.

Ten operators on the syntax tree. A mutant that changes nothing observable (an equivalent one) can't be told from one
that weak tests miss, so scores compare programs and tests; none of them has to reach 1. Nothing is executed here.
"""

import ast
import copy
import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from iterpref.programs import has_docstring, syntax_tree
from iterpref.records import fingerprint

Change = Callable[[], None]


class Mutant(NamedTuple):
    """A program with one fault: which operator made it, at which line of the original."""

    operator: str
    line: int
    program: str


_COMPARE: dict[type[Any], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
_ARITHMETIC: dict[type[Any], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult, ast.LShift: ast.RShift, ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.BitXor: ast.BitAnd,
}  # fmt: skip
_CALLS = {"min": "max", "max": "min", "any": "all", "all": "any", "sorted": "list", "reversed": "list", "abs": "int",
          "lower": "upper", "upper": "lower", "startswith": "endswith", "endswith": "startswith",
          "append": "extend", "ceil": "floor", "floor": "ceil", "lstrip": "rstrip", "rstrip": "lstrip"}  # fmt: skip


def mutants(program: str, most: int, seed: int = 0) -> list[Mutant]:
    """At most so many distinct mutants, drawn at random by the seed and the program, in the order of their lines.

    Raises:
        SyntaxError: The program is not Python.
    """
    tree = syntax_tree(program)
    original = ast.unparse(tree)
    found: dict[str, Mutant] = {}
    for number, (operator, line) in enumerate(_places(tree)):
        changed = _changed(tree, number)
        if changed != original:
            found.setdefault(changed, Mutant(operator, line, changed))
    drawn = list(found.values())
    if len(drawn) > most:
        drawn = random.Random(fingerprint([seed, original])).sample(drawn, most)
    return sorted(drawn, key=lambda mutant: (mutant.line, mutant.operator, mutant.program))


def _places(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Operator and line of every change that can be made, in a fixed order."""
    for node, changes in _walk(tree):
        for operator, place, _ in changes:
            yield operator, getattr(place or node, "lineno", 0)


def _changed(tree: ast.Module, number: int) -> str:
    """The program after change `number` of `_places`."""
    fresh = copy.deepcopy(tree)
    for _, changes in _walk(fresh):
        if number < len(changes):
            changes[number][2]()
            return ast.unparse(ast.fix_missing_locations(fresh))
        number -= len(changes)
    raise IndexError(number)


def _walk(tree: ast.Module) -> Iterator[tuple[ast.AST, list[tuple[str, ast.AST | None, Change]]]]:
    """Each node with its changes: operator, the statement meant if it is not the node, and what makes the change."""
    documentation = {id(node.body[0].value) for node in ast.walk(tree) if has_docstring(node)}  # type: ignore[attr-defined]
    for node in list(ast.walk(tree)):
        if id(node) not in documentation:
            own = [(name, None, change) for name, change in (*_expression_changes(node), *_statement_changes(node))]
            yield node, [*own, *_block_changes(node)]


def _expression_changes(node: ast.AST) -> Iterator[tuple[str, Change]]:
    match node:
        case ast.Compare(ops=[operator, *_]) if type(operator) in _COMPARE:
            yield "comparison", _placer(node.ops, 0, _COMPARE[type(operator)]())
        case ast.BinOp(op=operator) if type(operator) in _ARITHMETIC and not _is_text(node):
            yield "arithmetic", _setter(node, "op", _ARITHMETIC[type(operator)]())
        case ast.BoolOp(op=operator):
            yield "and_or", _setter(node, "op", ast.Or() if isinstance(operator, ast.And) else ast.And())
        case ast.Constant(value=bool(value)):
            yield "constant", _setter(node, "value", not value)
        case ast.Constant(value=int(value) | float(value)):
            yield "constant", _setter(node, "value", value + 1)
        case ast.Constant(value=str(value)) if value:
            yield "constant", _setter(node, "value", "")
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield "not", lambda: _become(node, ast.BoolOp(ast.And(), [operand, ast.Constant(True)]))
        case ast.Call(func=ast.Name(id=name)) if name in _CALLS:
            yield "call", _setter(node.func, "id", _CALLS[name])
        case ast.Call(func=ast.Attribute(attr=name)) if name in _CALLS:
            yield "call", _setter(node.func, "attr", _CALLS[name])
        case ast.Slice(lower=lower, upper=upper):
            if lower is not None:
                yield "slice", _setter(node, "lower", _plus_one(lower))
            if upper is not None:
                yield "slice", _setter(node, "upper", _plus_one(upper))


def _statement_changes(node: ast.AST) -> Iterator[tuple[str, Change]]:
    match node:
        case ast.If() | ast.While() | ast.IfExp():
            yield "condition", _setter(node, "test", ast.UnaryOp(ast.Not(), node.test))
        case ast.AugAssign(op=operator) if type(operator) in _ARITHMETIC:
            yield "arithmetic", _setter(node, "op", _ARITHMETIC[type(operator)]())
        case ast.Return(value=value) if value is not None:
            yield "return", _setter(node, "value", ast.Constant(None))


def _block_changes(node: ast.AST) -> Iterator[tuple[str, ast.AST | None, Change]]:
    """Statements left out, jumps swapped; definitions, imports and the last word of a function stay."""
    for block in (getattr(node, "body", None), getattr(node, "orelse", None)):
        for place, statement in enumerate(block if isinstance(block, list) else []):
            if isinstance(statement, ast.Assign | ast.AugAssign | ast.Expr) and not _is_documentation(statement):
                yield "leave_out", statement, _placer(block, place, ast.Pass())
            elif isinstance(statement, ast.Break):
                yield "jump", statement, _placer(block, place, ast.Continue())
            elif isinstance(statement, ast.Continue):
                yield "jump", statement, _placer(block, place, ast.Break())


def _is_documentation(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _is_text(node: ast.BinOp) -> bool:
    """`"%d" % n` and `a + "b"`: another operator would only raise a TypeError that any call notices."""
    return any(
        isinstance(side, ast.JoinedStr) or (isinstance(side, ast.Constant) and isinstance(side.value, str))
        for side in (node.left, node.right)
    )


def _plus_one(value: ast.expr) -> ast.expr:
    return ast.BinOp(value, ast.Add(), ast.Constant(1))


def _setter(node: ast.AST, field: str, value: object) -> Change:
    return lambda: setattr(node, field, value)


def _placer(items: Any, place: int, value: ast.AST) -> Change:
    return lambda: items.__setitem__(place, value)


def _become(node: ast.AST, other: ast.AST) -> None:
    """Turn a node into another one where it stands."""
    node.__class__ = other.__class__  # type: ignore[assignment]
    node.__dict__.clear()
    node.__dict__.update(other.__dict__)
