"""How hard are the tasks of a benchmark? What the publishers say, else how long the known solution is.

LiveCodeBench labels its problems `easy`, `medium` or `hard`. Elsewhere the lines of the reference solution, docstrings
and comments aside, stand in: a proxy, and named as one. A task with neither has no entry.
"""

import ast

from iterpref.evaluation.benchmarks import Benchmark

_LENGTHS = (5, 10, 20, 40)  # lines of the reference; upper bounds of the groups but the last


def difficulties(benchmark: Benchmark) -> dict[str, str]:
    """Task id → difficulty."""
    if benchmark.family == "livecodebench":
        return {task.task_id: task.split for task in benchmark.tasks}
    known = {task.task_id: task.reference for task in benchmark.tasks if task.reference}
    return {task_id: _by_length(reference) for task_id, reference in known.items()}


def _by_length(reference: str) -> str:
    lines = _lines(reference)
    low = 0
    for high in _LENGTHS:
        if lines <= high:
            return f"reference: {low + 1}-{high} lines"
        low = high
    return f"reference: {low + 1} lines or more"


def _lines(program: str) -> int:
    """Lines of code, as Python would lay the program out itself."""
    try:
        tree = ast.parse(program)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return sum(1 for line in program.split("\n") if line.strip())
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and len(body) > 1 and _is_text(body[0]):
            del body[0]
    return max(1, sum(1 for line in ast.unparse(tree).split("\n") if line.strip()))


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
