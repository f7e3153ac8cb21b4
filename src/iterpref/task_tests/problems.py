"""Task → why no program can pass its tests, or why every program does; only what their text shows.

Cautious: what might assert something in a way unknown here is taken as an assertion. Not here: whether the reference
passes, which needs a sandbox.
"""

import ast
import builtins
import json
import re
import sys
from collections.abc import Iterator
from functools import lru_cache
from importlib.machinery import PathFinder
from pathlib import PurePosixPath

from iterpref.programs import syntax_tree
from iterpref.records import Task, TestFile
from iterpref.statements import Definition, outside_functions
from iterpref.task_tests.names import SHARED, ReadTest, module_name, read_tests

_ROWS = {"calls": (("args", "expected"), ("input", "output")), "stdio": (("stdout",),)}
# Parts of names of functions that assert: assertEqual, assert_allclose, pytest.raises, self.fail, check_answer, ...
_ASSERTING = re.compile(r"assert|raise|fail|expect|check|verify|valid|should|compare|skip", re.IGNORECASE)
_HIDDEN = frozenset(("exec", "eval", "globals", "__import__"))  # with these, names can't be followed
_PLACES = ("site-packages", "dist-packages")


def problem_of(task: Task) -> str | None:
    """What is wrong with a task's tests, with the file and the line; None if nothing shows."""
    if task.style in _ROWS:
        return next(_bad_rows(task), None)
    if task.style == "doctest":
        examples = any(">>>" in file.content for file in task.tests)
        return None if examples else f"{task.tests[0].path}: holds no `>>>` example"
    files = [file for file in task.tests if file.path.endswith(".py")]
    if not files:
        return f"{task.tests[0].path}: style {task.style} needs Python files, named *.py"
    broken = next(filter(None, map(_syntax_error, files)), None)
    if broken:
        return broken
    tests = read_tests(task.tests, task.style, task.program_path)
    found = (_unknown_import(task, tests), _unknown_name(task, tests), _asserts_nothing(task, tests))
    return next(filter(None, found), None)


def _bad_rows(task: Task) -> Iterator[str]:
    if task.style == "calls" and not task.entry_point:
        yield "style calls needs the task's entry_point"
    for file in task.tests:
        for number, line in enumerate(file.content.splitlines(), 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError:
                yield f"{file.path} line {number}: not JSON; one object a line expected"
                return
            forms = _ROWS[task.style]
            if not isinstance(row, dict) or not any(row.keys() >= set(form) for form in forms):
                expected = " or ".join(" and ".join(form) for form in forms)
                yield f"{file.path} line {number}: expected an object with {expected}"
                return


def _syntax_error(file: TestFile) -> str | None:
    try:
        syntax_tree(file.content)
    except SyntaxError as error:
        shown = f": {error.text.strip()[:80]}" if error.text and error.text.strip() else ""
        return f"{file.path} line {error.lineno}: not Python ({error.msg}){shown}"
    except (ValueError, RecursionError, MemoryError) as error:
        return f"{file.path}: not Python ({error})"
    return None


def _unknown_import(task: Task, tests: list[ReadTest]) -> str | None:
    """A module that the tests can't do without, and that isn't there."""
    program = module_name(task.program_path)
    beside = {program.split(".")[0], *(PurePosixPath(file.path).parts[0].removesuffix(".py") for file in task.tests)}
    beside |= {name.replace("-", "_") for name in task.packages}
    for test in tests:
        for node in test.tree.body:
            if isinstance(node, ast.Import):
                wanted = [alias.name for alias in node.names]
            else:
                wanted = [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []
            for name in (full.split(".")[0] for full in wanted):
                if name not in beside and not _installed(name):
                    return (
                        f"{test.file.path} line {node.lineno}: imports {name}, which is not installed here; the "
                        f"program is the module {program}, as in `from {program} import {_an_entry_point(task, node)}`"
                    )
    return None


def _an_entry_point(task: Task, node: ast.stmt) -> str:
    names = [alias.name for alias in node.names] if isinstance(node, ast.ImportFrom) else []
    return ", ".join(names) or task.entry_point or "f"


@lru_cache(maxsize=4096)
def _installed(name: str) -> bool:
    """Whether this Python has a module, the working directory aside, which programs don't see."""
    if name in sys.stdlib_module_names:
        return True
    places = [place for place in sys.path if any(part in place for part in _PLACES)]
    return PathFinder.find_spec(name, places) is not None


def _unknown_name(task: Task, tests: list[ReadTest]) -> str | None:
    """A name that tests in a module of their own use without having imported it."""
    if task.style in SHARED:
        return None
    for test in tests:
        unknown = {name for name in test.free if not hasattr(builtins, name) and not name.startswith("__")}
        if unknown and not test.starred and not _HIDDEN & test.free:
            uses = (n for n in ast.walk(test.tree) if isinstance(n, ast.Name) and n.id in unknown)
            first = min(uses, key=lambda node: node.lineno, default=None)
            if first is not None:
                return (
                    f"{test.file.path} line {first.lineno}: {first.id} is not defined there; {task.style} files import "
                    f"what they test, as in `from {test.module} import {first.id}`"
                )
    return None


def _asserts_nothing(task: Task, tests: list[ReadTest]) -> str | None:
    where = task.tests[0].path if len(task.tests) == 1 else "the tests"
    text = "\n".join(test.file.content for test in tests)
    if not any(_may_assert(test) for test in tests):
        return f"{where}: asserts nothing, so that every program passes"
    if task.style not in SHARED and not re.search(r"\b(?:def|setattr|load_tests|runTest)\b.*test|runTest", text):
        return f"{where}: defines no test; {task.style} runs functions named test_..."
    if task.style == "check" and task.entry_point:  # what `check` is handed
        return None
    named = module_name(task.program_path) in text or any(test.taken for test in tests)
    if not named and not (task.style in SHARED and any(test.free for test in tests)):
        return f"{where}: uses nothing of the program, so that every program passes"
    return None


def _may_assert(test: ReadTest) -> bool:
    """Whether some statement that runs asserts, or calls what may do so."""
    body = test.tree.body
    if test.style == "check":
        body = [node for node in body if getattr(node, "name", "") == "check"]
    nodes = [inner for node in body for inner in ast.walk(node)]
    calls = [node.func for node in nodes if isinstance(node, ast.Call)]
    named = [getattr(function, "attr", getattr(function, "id", "")) for function in calls]
    if test.style == "assert" and not any(_ASSERTING.search(name) for name in named):
        own = {node.name for node in nodes if isinstance(node, Definition)}
        running = [inner for node in body for inner in outside_functions(node)]
        if not any(isinstance(node, ast.Name) and node.id in own for node in running):
            nodes = running  # functions that nobody calls
    return any(isinstance(node, ast.Assert | ast.Raise) for node in nodes) or any(map(_ASSERTING.search, named))
