"""An expectation that did not hold → the call, what it returned and what was expected, as a person would write them."""

import ast
import copy
from typing import Any

from iterpref.records import FailingCase

from ..inside.values.codec import opaque_text
from ..inside.values.texts import CASE_CHARS, VALUE_CHARS, shorten
from ..reading.expressions import Evaluator
from ..reading.plan import CallPlan, Expectation
from .output_difference import common

_EQUAL = ast.Eq | ast.Is
_CALLS = 3  # shown of one assert
_DEPTH = 5  # containers inside containers that are gone into
_PART = 40  # characters of a long string from the first wrong one on


def failing_case(expectation: Expectation, plan: CallPlan, values: dict[int, Any], evaluate: Evaluator) -> FailingCase:
    """`values`: results of calls, by the `id` of the node that stands for them."""
    texts = {node: plan.calls[index].text for node, index in expectation.slots.items()}
    sides = _sides(expectation)
    if sides is not None:
        try:
            got = opaque_text(evaluate(sides[0]))
        except Exception as error:
            got = f"{type(error).__name__}: {shorten(str(error), CASE_CHARS)}"
        call = shorten(_source(sides[0], texts), CASE_CHARS)
        return FailingCase(call=call, got=got, expected=expected_text(expectation))
    condition = shorten(_source(expectation.condition, texts), CASE_CHARS)
    if not values:
        return FailingCase(call=condition, got="False", expected="True")
    calls = {texts[node]: opaque_text(value) for node, value in values.items()}
    call, got = (", ".join(list(shown)[:_CALLS]) for shown in (calls, calls.values()))
    return FailingCase(call=call, got=got, expected=_wanted(expectation, condition))


def parting(expectation: Expectation, evaluate: Evaluator) -> str:
    """Where the sides of `call == constant` part, on a line of its own, if they are too long to be seen whole."""
    sides = _sides(expectation)
    try:
        return where_parting(evaluate(sides[0]), evaluate(sides[1])) if sides else ""
    except Exception:  # a side that can't be computed: what there is to say about it is said elsewhere
        return ""


def where_parting(got: Any, wanted: Any) -> str:
    """The same of two plain values."""
    if max(len(opaque_text(got)), len(opaque_text(wanted))) < VALUE_CHARS:
        return ""
    path = ""
    for _ in range(_DEPTH):
        step = _step(got, wanted)
        if step is None:
            break
        path, got, wanted = f"{path}[{opaque_text(step)}]", got[step], wanted[step]
    if isinstance(got, list | tuple) and type(got) is type(wanted) and len(got) != len(wanted):
        return f"\nThey differ in length{path and f' at {path}'}: {len(got)}, expected {len(wanted)}"
    if isinstance(got, str) and isinstance(wanted, str):
        start = common(got, wanted)
        path, got, wanted = f"{path}[{start}:]", got[start : start + _PART], wanted[start : start + _PART]
    return f"\nThey differ first at {path}: {opaque_text(got)}, expected {opaque_text(wanted)}" if path else ""


def _step(got: Any, wanted: Any) -> Any:
    """The first index or key at which two containers of one kind differ; None if there is none in both."""
    if isinstance(got, list | tuple) and type(got) is type(wanted):
        for index, (one, other) in enumerate(zip(got, wanted, strict=False)):
            both_nan = one != one and other != other
            if one != other and not both_nan:
                return index
    if isinstance(got, dict) and isinstance(wanted, dict):
        for key in wanted:
            if key in got and got[key] != wanted[key]:
                return key
    return None


def _wanted(expectation: Expectation, condition: str) -> str:
    """What must be so, for any condition: the condition itself, unless it is nothing but the call."""
    node = expectation.condition
    if id(node) in expectation.slots:
        return "a true value"
    negated = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not) and id(node.operand) in expectation.slots
    return "a false value" if negated else condition


def expected_text(expectation: Expectation) -> str:
    """The side of `call == constant` without a call; empty for any other form."""
    sides = _sides(expectation)
    if sides is None:
        return ""
    try:
        return shorten(opaque_text(Evaluator(expectation.names)(sides[1])), CASE_CHARS)
    except Exception:  # an expected value that can't be computed: the expectation itself says so
        return ""


def _sides(expectation: Expectation) -> tuple[ast.expr, ast.expr] | None:
    """(side with a call, side without) of `call == constant`, whichever way round."""
    condition = expectation.condition
    if not (isinstance(condition, ast.Compare) and len(condition.ops) == 1 and isinstance(condition.ops[0], _EQUAL)):
        return None
    sides = [condition.left, condition.comparators[0]]
    with_call = [any(id(node) in expectation.slots for node in ast.walk(side)) for side in sides]
    if with_call == [True, False]:
        return sides[0], sides[1]
    return (sides[1], sides[0]) if with_call == [False, True] else None


def _source(node: ast.expr, texts: dict[int, str]) -> str:
    """The expression as source, with the calls written out."""
    written: dict[int, Any] = {call: ast.Name(text) for call, text in texts.items()}
    return ast.unparse(copy.deepcopy(node, written))  # takes what it finds there for copies already made
