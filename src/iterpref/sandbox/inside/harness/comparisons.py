"""Keep both sides of a comparison that an assert found not to hold, in the program's own process.

`assert f(x) == 3` becomes `assert __iterpref_compare__(f(x), 3, ...)`, and the last comparison that did not hold a
case: `f(x) with x = 1`, what it returned, what was expected. Not here: asserts taken apart (grading/failing_case.py).
"""

import ast
import re
import sys
import types
from typing import Any

from ..values.codec import opaque_text
from ..values.texts import CASE_CHARS, shorten
from .assert_syntax import COMPARISONS
from .tracebacks import UserFiles

Case = dict[str, str]
_COMPARE = "__iterpref_compare__"
_NAMES = 3
_EXPECTED = {
    "Eq": "{}", "NotEq": "anything but {}", "Lt": "a value < {}", "LtE": "a value <= {}", "Gt": "a value > {}",
    "GtE": "a value >= {}", "Is": "{}", "IsNot": "anything but {}", "In": "something in {}",
    "NotIn": "something not in {}",
}  # fmt: skip
_TURNED = _EXPECTED | {  # the constant stands on the left
    "Lt": "a value > {}", "LtE": "a value >= {}", "Gt": "a value < {}", "GtE": "a value <= {}",
    "In": "something that contains {}", "NotIn": "something that does not contain {}",
}  # fmt: skip


def record_comparisons(module: ast.Module) -> ast.Module:
    """The module with each assert of one comparison kept by what `comparisons` puts into the namespace."""
    _Recorder().visit(module)
    return ast.fix_missing_locations(module)


def comparisons(namespace: dict[str, Any]) -> list[Case]:
    """A list that takes the comparisons that don't hold, the last one last."""
    cases: list[Case] = []

    def compare(left: Any, right: Any, sign: str, turned: bool, call: str, names: str) -> bool:
        held = bool(COMPARISONS[sign](left, right))
        if not held:
            got, other = (right, left) if turned else (left, right)
            expected = (_TURNED if turned else _EXPECTED)[sign].format(opaque_text(other))
            values = _values(names.split(), sys._getframe(1))
            call += f" with {values}" if values else ""
            cases.append({"call": call, "got": opaque_text(got), "expected": expected})
        return held

    namespace[_COMPARE] = compare
    return cases


class _Recorder(ast.NodeTransformer):
    def visit_Assert(self, node: ast.Assert) -> ast.Assert:
        test = node.test
        if isinstance(test, ast.Compare) and len(test.ops) == 1:
            left, right = test.left, test.comparators[0]
            turned = _calls(right) and not _calls(left)  # `assert 3 == f(1)`
            call = right if turned else left
            told = (type(test.ops[0]).__name__, turned, shorten(ast.unparse(call), CASE_CHARS), _variables(call))
            arguments = [left, right, *(ast.Constant(part) for part in told)]
            node.test = ast.Call(ast.Name(_COMPARE, ast.Load()), arguments, [])
        return node


def values_at(error: BaseException, files: UserFiles) -> str:
    """`x = 1, y = 2`: the variables in the last line of a test file that an exception came through."""
    frame, line, traceback = None, "", error.__traceback__
    while traceback is not None:
        filename = traceback.tb_frame.f_code.co_filename
        if files.is_test(filename):
            frame, line = traceback.tb_frame, files.text(filename, traceback.tb_lineno)
        traceback = traceback.tb_next
    names = dict.fromkeys(re.findall(r"(?<![.\w'\"])([A-Za-z_]\w*)(?!\w|\s*\(|\s*=[^=])", line))
    return _values([name for name in names if name not in ("self", "cls")], frame) if frame else ""


def _calls(node: ast.expr) -> bool:
    return any(isinstance(part, ast.Call) for part in ast.walk(node))


def _variables(node: ast.expr) -> str:
    """Names in an expression that are not called."""
    called = {id(part.func) for part in ast.walk(node) if isinstance(part, ast.Call)}
    return " ".join(dict.fromkeys(n.id for n in ast.walk(node) if isinstance(n, ast.Name) and id(n) not in called))


def _values(names: list[str], frame: types.FrameType) -> str:
    """`x = 1, y = 2`: what the test's variables are, after the call."""
    scope = frame.f_globals | frame.f_locals
    known = [name for name in names if name in scope and not isinstance(scope[name], types.ModuleType | type)]
    shown = [f"{name} = {opaque_text(scope[name])}" for name in known if not callable(scope[name])][:_NAMES]
    return ", ".join(shown)
