"""Task + program → trivially wrong programs (stubs): tests that one of them passes check nothing of the program.

Of functions: versions that return nothing, return an object, or only raise, and no program at all. Of a script: one
that prints nothing, one that prints what it reads, one that always prints what the first case expects. A stub that is
the program itself is none. Nothing is executed here.
"""

import ast
import copy
import doctest
import json
from collections.abc import Iterator

from iterpref.programs import syntax_tree, without_docstrings
from iterpref.records import Task, TestFile
from iterpref.statements import top_level

_BODIES = {"returns_none": "return None", "returns_object": "return object()", "raises": "raise NotImplementedError"}
_ECHO = "import sys\nsys.stdout.write(sys.stdin.read())"


def stubs(task: Task, program: str) -> dict[str, str]:
    """Stubs by name.

    Raises:
        SyntaxError: The program is not Python.
    """
    original = _shape(syntax_tree(program))
    made = _of_script(task) if task.style == "stdio" else _of_functions(task, program)
    return {name: stub for name, stub in made.items() if _shape(syntax_tree(stub)) != original}


def _of_functions(task: Task, program: str) -> dict[str, str]:
    made = {"empty": ""}
    # `f = lambda x: x`, `f = partial(pow, 2)`, an import: no body to replace, so a function of that name comes last.
    bound = {name for statement in top_level(program) if statement.definition is None for name in statement.binds}
    wanted = sorted(_tested_names(task) & bound)
    for name, body in _BODIES.items():
        tree = syntax_tree(program)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name != "__init__":
                node.body = list(syntax_tree(body).body)
        for function in wanted:
            tree.body += syntax_tree(f"def {function}(*args, **kwargs):\n    {body}").body
        made[name] = ast.unparse(ast.fix_missing_locations(tree))
    return made


def _of_script(task: Task) -> dict[str, str]:
    made = {"prints_nothing": "", "echoes": _ECHO}
    rows = [json.loads(line) for test in task.tests for line in test.content.splitlines() if line.strip()]
    # For one input the constant is right.
    if len({row.get("stdin", "") for row in rows}) > 1:
        made["prints_constant"] = f"print({rows[0]['stdout']!r})"
    return made


def _tested_names(task: Task) -> set[str]:
    """The entry point, and what the tests call or hand to a call."""
    names = {task.entry_point} if task.entry_point else set()
    for test in task.tests if task.style != "calls" else ():
        for node in (node for tree in _trees(task, test) for node in ast.walk(tree)):
            if isinstance(node, ast.Call):
                used = [node.func, *node.args]
                names |= {part.id for part in used if isinstance(part, ast.Name)}
                names |= {part.attr for part in used if isinstance(part, ast.Attribute)}
    return names


def _trees(task: Task, test: TestFile) -> Iterator[ast.Module]:
    if task.style == "doctest":
        yield from (syntax_tree(example.source) for example in doctest.DocTestParser().get_examples(test.content))
    elif test.path.endswith(".py") or task.style in ("assert", "check"):
        yield syntax_tree(test.content)


def _shape(tree: ast.Module) -> str:
    return ast.dump(without_docstrings(copy.deepcopy(tree)))
