"""How hard is a task? Where its publishers don't say, how long its known solution is.

A proxy, and named as one (`reference: 6-10 lines`). In: a task. Out: a label, or "" without a reference.
"""

import ast
from contextlib import suppress

from iterpref.programs import length_label, syntax_tree, without_docstrings
from iterpref.records import Task


def by_reference(task: Task) -> str:
    """The lines of code of the reference, docstrings and comments aside."""
    return f"reference: {length_label(_lines(task.reference))}" if task.reference else ""


def _lines(program: str) -> int:
    """Non-empty lines, as Python would lay the program out itself."""
    with suppress(SyntaxError, ValueError, RecursionError, MemoryError):  # not Python: as it is written
        program = ast.unparse(without_docstrings(syntax_tree(program)))
    return sum(1 for line in program.split("\n") if line.strip())
