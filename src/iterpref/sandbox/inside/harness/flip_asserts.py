"""Turn each assertion of a test file into its opposite, one that must fail, and go on as if it had held. Pure.

`assert f(1) == 2` becomes `assert f(1) == 7921`, inside a `try` that notes whether it failed, as it must: an object
that equals everything, a patched `assertEqual`, an expected value read from the test itself give themselves away. What
surrounds assertions is untouched, so that tests take the same way. Assertions whose failure a test may expect stay as
they are, in the body of `try ... except` and under `assertRaises`; so does `assert False`.
"""

import ast
from collections.abc import Callable
from typing import Any

SEEN, WRONG = "__iterpref_seen__", "__iterpref_wrong__"
_OFFSET = 7919
_LONG = 500  # characters of a literal; unittest's diff of longer ones takes long
_EXACT = 1e9  # larger floats may not notice the offset
_EXPECTED = ("expect", "want", "correct", "answer", "target", "desired")
_EXPECTING = ("raises", "warns", "deprecated_call", "suppress", "assertRaises", "assertRaisesRegex", "assertWarns",
              "assertWarnsRegex", "assertLogs", "assertNoLogs")  # fmt: skip
_EQUAL = ("assertEqual", "assertEquals", "assertAlmostEqual", "assertAlmostEquals", "assertCountEqual",
          "assertListEqual", "assertTupleEqual", "assertSetEqual", "assertDictEqual", "assertSequenceEqual",
          "assertMultiLineEqual")  # fmt: skip
_ORDERED = ("assertGreater", "assertGreaterEqual", "assertLess", "assertLessEqual")


def flip_tests(tree: ast.Module) -> ast.Module:
    """The tree with all assertions turned around; `tree` itself is changed. Needs the names `SEEN` and `WRONG`."""
    _Flipper().visit(tree)
    return ast.fix_missing_locations(tree)


def flipped(condition: ast.expr) -> ast.expr:
    """A condition that is false, or raises, wherever `condition` honestly holds."""
    if isinstance(condition, ast.Compare) and len(condition.ops) == 1:
        return _flipped_comparison(condition)
    if isinstance(condition, ast.BoolOp) and isinstance(condition.op, ast.And):
        return ast.BoolOp(ast.Or(), [flipped(part) for part in condition.values])
    if isinstance(condition, ast.UnaryOp) and isinstance(condition.op, ast.Not):
        return condition.operand
    if isinstance(condition, ast.Call) and isinstance(condition.func, ast.Name):
        name, args = condition.func.id, condition.args
        if name == "all" and len(args) == 1 and isinstance(args[0], ast.GeneratorExp | ast.ListComp):
            every = ast.GeneratorExp(flipped(args[0].elt), args[0].generators)
            return ast.Call(ast.Name("any", ast.Load()), [every], [])
        if name == "isinstance" and len(args) == 2:
            return ast.Call(condition.func, [args[0], _wrong_type()], [])
    return ast.UnaryOp(ast.Not(), condition)


def _flipped_comparison(node: ast.Compare) -> ast.expr:
    left, op, right = node.left, node.ops[0], node.comparators[0]
    if isinstance(op, ast.Eq):
        left, right = _unequal(left, right)
    elif isinstance(op, ast.Is):
        right = _instead(right)
    elif isinstance(op, ast.In):
        left, right = _not_inside(left, right)
    elif isinstance(op, ast.Lt | ast.LtE | ast.Gt | ast.GtE):
        left, right = (_instead(left), right) if _is_expected(left, right) else (left, _instead(right))
    else:
        return ast.UnaryOp(ast.Not(), node)
    return ast.Compare(left, [op], [right])


def _unequal(left: ast.expr, right: ast.expr, exact: bool = True) -> tuple[ast.expr, ast.expr]:
    """The two sides, the expected one replaced by something else."""
    if _is_expected(left, right):
        return (_other(left) if exact else _instead(left)), right
    return left, (_other(right) if exact else _instead(right))


def _is_expected(left: ast.expr, right: ast.expr) -> bool:
    """Whether the left side is the expected one; usually the right one is."""
    marks = []
    for side in (left, right):
        named = isinstance(side, ast.Name) and side.id.lower().startswith(_EXPECTED)
        called = any(isinstance(node, ast.Call | ast.Await) for node in ast.walk(side))
        marks.append(3 if _is_literal(side) else 2 if named else 0 if called else 1)
    return marks[0] > marks[1]


def _is_literal(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return True


def _other(node: ast.expr) -> ast.expr:
    """A literal of the same kind and another value; for anything else, what equals nothing."""
    if not _is_literal(node) or len(ast.unparse(node)) > _LONG:
        return _instead(node)
    value = ast.literal_eval(node)
    if isinstance(value, bool):
        return ast.Constant(not value)
    if isinstance(value, int | float | complex) and abs(value) < _EXACT:
        return ast.Constant(value + _OFFSET)
    if isinstance(value, str):
        return ast.Constant(value + "?!")
    if isinstance(value, bytes):
        return ast.Constant(value + b"?!")
    # Every item is another one, too: an honest `__eq__` may look at some of them only.
    if isinstance(node, ast.List | ast.Tuple):
        return type(node)([*map(_other_item, node.elts), ast.Constant(_OFFSET)], ast.Load())
    if isinstance(node, ast.Dict):
        values = [*map(_other_item, node.values), ast.Constant(_OFFSET)]
        return ast.Dict([*node.keys, ast.Constant("?!")], values)
    return _instead(node)


def _other_item(node: ast.expr) -> ast.expr:
    """Another literal, for a cheat to take over; an item without one stays."""
    other = _other(node)
    return other if _is_literal(other) else node


def _wrong() -> ast.Name:
    return ast.Name(WRONG, ast.Load())


def _wrong_type() -> ast.expr:
    return ast.Attribute(_wrong(), "__class__", ast.Load())


def _instead(node: ast.expr, value: ast.expr | None = None) -> ast.expr:
    """Evaluate `node`, then stand for something else."""
    value = value or _wrong()
    if isinstance(node, ast.Constant | ast.Name):
        return value
    return ast.Subscript(ast.Tuple([node, value], ast.Load()), ast.Constant(1), ast.Load())


def _not_inside(item: ast.expr, container: ast.expr) -> tuple[ast.expr, ast.expr]:
    if _is_literal(container):
        return item, ast.List([_wrong()], ast.Load())
    return _instead(item), container


class _Flipper(ast.NodeTransformer):
    def visit_Assert(self, node: ast.Assert) -> ast.stmt:
        if isinstance(node.test, ast.Constant):
            return node  # says nothing of the program
        return _must_fail(ast.Assert(flipped(node.test), None), node)

    def visit_Expr(self, node: ast.Expr) -> ast.stmt:
        call = node.value
        probes = [_must_fail(probe, node) for probe in _nothing_raised(call, with_callable=True)]
        if probes:
            return ast.copy_location(ast.If(ast.Constant(True), [*probes, node], []), node)
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)):
            return node
        if getattr(call.func.value, "id", "") != "self":
            return node
        args = _flipped_arguments(call.func.attr, call.args, bool(call.keywords))
        return node if args is None else _must_fail(ast.Expr(ast.Call(call.func, args, call.keywords)), node)

    def visit_Try(self, node: ast.Try) -> ast.AST:
        if not node.handlers:
            return self.generic_visit(node)
        for handler in node.handlers:  # only what fails in the body may be expected to
            self.generic_visit(handler)
        node.orelse, node.finalbody = (list(map(self.visit, part)) for part in (node.orelse, node.finalbody))
        return node

    def visit_With(self, node: ast.With | ast.AsyncWith) -> Any:
        expecting = [item.context_expr for item in node.items if _name(item.context_expr) in _EXPECTING]
        if not expecting:
            return self.generic_visit(node)
        probes = [_must_fail(probe, node) for call in expecting for probe in _nothing_raised(call)]
        return ast.copy_location(ast.If(ast.Constant(True), [*probes, node], []), node) if probes else node

    visit_AsyncWith = visit_With

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        expected = any(_name(decorator) in ("expectedFailure", "xfail") for decorator in node.decorator_list)
        return node if expected else self.generic_visit(node)


def _name(node: ast.expr) -> str:
    node = node.func if isinstance(node, ast.Call) else node
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _nothing_raised(call: ast.expr, with_callable: bool = False) -> list[ast.stmt]:
    """`self.assertRaises(E, lambda: None)`: the same expectation, of something that doesn't raise. `with_callable`: the
    call says itself what must raise, `self.assertRaises(E, f, 1)`."""
    name = _name(call)
    if not (isinstance(call, ast.Call) and name in ("assertRaises", "assertRaisesRegex", "raises")):
        return []
    expected = 2 if name == "assertRaisesRegex" else 1
    if with_callable is not (len(call.args) > expected):
        return []
    nothing = ast.parse("lambda: None", mode="eval").body
    return [ast.Expr(ast.Call(call.func, [*call.args[:expected], nothing], []))]


def _must_fail(statement: ast.stmt, place: ast.stmt) -> ast.stmt:
    """`try: statement; except BaseException: seen(True); else: seen(False)`; pytest's failures are no `Exception`s."""

    def seen(failed: bool) -> list[ast.stmt]:
        return [ast.Expr(ast.Call(ast.Name(SEEN, ast.Load()), [ast.Constant(failed)], []))]

    handler = ast.ExceptHandler(ast.Name("BaseException", ast.Load()), None, seen(True))
    return ast.copy_location(ast.Try([statement], [handler], seen(False), []), place)


def _flipped_arguments(method: str, args: list[ast.expr], more: bool) -> list[ast.expr] | None:
    """Arguments with which a method of `unittest.TestCase` must fail where it held with `args`; None if unknown."""
    if any(isinstance(argument, ast.Starred) for argument in args):
        return None
    one: dict[str, Callable[[ast.expr], list[ast.expr]]] = {
        "assertTrue": lambda x: [flipped(x)],
        "assertFalse": lambda x: [ast.UnaryOp(ast.Not(), x)],
        "assertIsNone": lambda x: [_instead(x)],
        "assertIsNotNone": lambda x: [_instead(x, ast.Constant(None))],
    }
    if method in one and args:
        return one[method](args[0])
    if len(args) < 2:
        return None
    left, right = args[:2]
    if method in _EQUAL:
        near = method.startswith("assertAlmost")
        return list(_unequal(left, right, exact=not (near and (more or len(args) > 2))))
    if method in _ORDERED:
        return [_instead(left), right] if _is_expected(left, right) else [left, _instead(right)]
    both = ast.Tuple([left, right], ast.Load())
    two: dict[str, Callable[[], list[ast.expr]]] = {
        "assertIs": lambda: [left, _instead(right)],
        "assertIsNot": lambda: [_wrong(), _instead(both)],
        "assertNotEqual": lambda: [_wrong(), _instead(both)],
        "assertIn": lambda: list(_not_inside(left, right)),
        "assertNotIn": lambda: [_instead(both), ast.List([_wrong()], ast.Load())],
        "assertIsInstance": lambda: [left, _wrong_type()],
        "assertNotIsInstance": lambda: [_instead(left), _wrong_type()],
        "assertRegex": lambda: [left, ast.Constant("(?!)")],
    }
    return two[method]() if method in two else None
