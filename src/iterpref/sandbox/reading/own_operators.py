"""Which results of an assert could decide by operators of their own whether it holds. Pure; looks at the test only.

`assert f(1) == 2` compares with a constant: what has an `__eq__` of its own is not believed, and equals nothing. But
whether `P(1) == P(1)`, `len(f(1)) == 2`, `str(P(1)) == "P(1)"` or `f(1)` holds is for the program's objects to say, and
the host doesn't have them: such an assert is judged where they are, unless the results are plain.
"""

import ast
from collections.abc import Mapping

_DISPLAYS = ast.List | ast.Tuple | ast.Dict


def free_results(condition: ast.expr, functions: Mapping[int, str]) -> dict[int, bool]:
    """The results that no constant stands against, and all that a class made, each with whether only its truth counts.

    Args:
        functions: By the `id` of each node that stands for a result, the name of what was called.
    """
    found: dict[int, bool] = {}
    _walk_truth(condition, functions, found)
    return found


def identifies_results(node: ast.Compare, results: Mapping[int, int]) -> bool:
    """Whether it asks for the identity of a result with anything but None, True or False."""
    sides = [node.left, *node.comparators]
    return any(
        isinstance(op, ast.Is | ast.IsNot)
        and _has_result(ast.Tuple([left, right]), results)
        and not any(isinstance(side, ast.Constant) and type(side.value) in (type(None), bool) for side in (left, right))
        for left, op, right in zip(sides, node.ops, sides[1:], strict=False)
    )


def _walk_truth(node: ast.expr, functions: Mapping[int, str], found: dict[int, bool]) -> None:
    """A condition, or a part of one that counts as true or false."""
    if id(node) in functions:
        found[id(node)] = True
    elif isinstance(node, ast.BoolOp):
        for part in node.values:
            _walk_truth(part, functions, found)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        _walk_truth(node.operand, functions, found)
    else:
        _walk(node, functions, False, False, found)


def _walk(node: ast.AST, functions: Mapping[int, str], compared: bool, directly: bool, found: dict[int, bool]) -> None:
    """`compared`: in a comparison whose other side is constant; `directly`: next to a constant, too."""
    if id(node) in functions:
        if not (compared and directly) or _is_class(functions[id(node)]):
            found[id(node)] = False
        return
    parts = [part for part in ast.iter_child_nodes(node) if isinstance(part, ast.expr | ast.keyword)]
    if isinstance(node, ast.Compare):
        for index, part in enumerate(parts):
            pinned = not any(_has_result(other, functions) for other in parts[max(0, index - 1) : index + 2]
                             if other is not part)  # fmt: skip
            held = index > 0 and isinstance(node.ops[index - 1], ast.In | ast.NotIn)  # what is looked into
            _walk(part, functions, pinned, pinned and not held, found)
        return
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "math.isclose":
        compared, directly = True, not all(_has_result(part, functions) for part in node.args)
    elif isinstance(node, ast.BinOp):
        directly = not all(_has_result(part, functions) for part in parts)
    elif not isinstance(node, _DISPLAYS):
        directly = False
    for part in parts:
        _walk(part, functions, compared, directly, found)


def _has_result(node: ast.AST, results: Mapping[int, object]) -> bool:
    return any(id(part) in results for part in ast.walk(node))


def _is_class(function: str) -> bool:
    """Whether it is written as classes are: `Money`, not `Find_Max` nor `Solution().twoSum`."""
    name = function.rpartition(".")[2]
    return name[:1].isupper() and "_" not in name
