"""Task → the same task with its `entry_point`, and with a prompt that says what the program must define.

The tests call a function by its name; a model that isn't told can only guess it.
"""

import ast
import re
from collections.abc import Iterator
from contextlib import suppress

from iterpref.programs import syntax_tree
from iterpref.prompts import render
from iterpref.records import Message, Prompt, Task
from iterpref.statements import UNREADABLE
from iterpref.task_tests.names import read_tests, tested_function

_LONGEST = 400  # characters of a test that is shown
# What makes an English word such as `add` the name of a function, in the text of a task.
_SAID = r"(?<![\w.]){0}\(|[`'\"]{0}\b|\b(?:def|class|function|method|called|named)\s+{0}\b"


def with_entry_point(task: Task) -> Task:
    """The task with the one function that its tests call, if it names none, in `entry_point` and in the prompt."""
    name = task.entry_point or tested_function(task.tests, task.style, task.program_path)
    if name is None or task.style == "stdio":
        return task
    changed = task.model_copy(update={"entry_point": name})
    if _says(task.prompt, name):
        return changed
    line = render("entry_point", function=name, signature=_signature(task, name), example=_example(task, name))
    return changed.model_copy(update={"prompt": _added(task.prompt, line)})


def _says(prompt: Prompt, name: str) -> bool:
    """Whether a prompt names the function; a plain word must stand there as a name."""
    text = prompt if isinstance(prompt, str) else "\n".join(turn.content for turn in prompt)
    plain = name.isalpha() and name.islower()
    return bool(re.search((_SAID if plain else r"(?<!\w){0}(?!\w)").format(re.escape(name)), text))


def _added(prompt: Prompt, line: str) -> Prompt:
    """The line below the prompt, or below its last turn."""
    if isinstance(prompt, str):
        return f"{prompt.rstrip()}\n\n{line}"
    *before, last = prompt
    return (*before, Message(role=last.role, content=f"{last.content.rstrip()}\n\n{line}"))


def _example(task: Task, name: str) -> str:
    """The first of several asserts on the function, as MBPP's own prompt shows one; a single one stays hidden."""
    if task.style != "assert":
        return ""
    tests = read_tests(task.tests, task.style, task.program_path)
    found = [text for test in tests for text in _asserts(test.file.content, test.tree, name)]
    return found[0] if len(found) > 1 and len(found[0]) <= _LONGEST else ""


def _asserts(text: str, tree: ast.Module, name: str) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.Assert) and any(getattr(inner, "id", "") == name for inner in ast.walk(node)):
            yield ast.get_source_segment(text, node) or ""


def _signature(task: Task, name: str) -> str:
    """The line in which the reference defines the function; "" without one."""
    with suppress(*UNREADABLE):
        for node in syntax_tree(task.reference or "").body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name:
                returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
                return f"def {name}({ast.unparse(node.args)}){returns}:"
    return ""
