"""A task's tests in another order, wherever their order should mean nothing: a verdict that changes is no verdict.

Rows of tables and cases; methods and classes of unittest, functions and classes of pytest; asserts and doctest's
examples that use no variable of the file. What a test file prepares stays where it is.
"""

import ast
import doctest
import random
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import TypeVar

from iterpref.programs import syntax_tree
from iterpref.records import Task, TestFile, fingerprint

T = TypeVar("T")

# Appended to a test file: unittest asks a module for this function, if there is one.
_UNITTEST = """

def load_tests(loader, tests, pattern):
    import random, unittest
    draw = random.Random({seed})
    classes = [list(cases) for cases in tests]
    for cases in (*classes, classes):
        draw.shuffle(cases)
    return unittest.TestSuite(map(unittest.TestSuite, classes))
"""

# pytest goes by the order of definition, but for the methods of a TestCase by the names that unittest's loader sorts.
_PYTEST = """

def _iterpref_reorder():
    import random, unittest
    place = lambda name: random.Random(f"{seed} {{name}}").random()
    unittest.TestLoader.sortTestMethodsUsing = staticmethod(lambda a, b: -1 if place(a) < place(b) else 1)
    own = [value for value in globals().values() if isinstance(value, type) and value.__module__ == __name__]
    for test in (test for test in own if test.__name__.startswith("Test") and not issubclass(test, unittest.TestCase)):
        for name in sorted((name for name in vars(test) if name.startswith("test")), key=place):
            method = vars(test)[name]
            delattr(test, name)
            setattr(test, name, method)
    for name in sorted((name for name in globals() if name.lower().startswith("test")), key=place):
        globals()[name] = globals().pop(name)


_iterpref_reorder()
"""


def shuffle_tests(task: Task, seed: int) -> Task:
    """The same tests in another order, the same one for the same seed; tests whose order may matter stay in place."""
    draw = random.Random(fingerprint([seed, task.tests_hash]))
    return task.model_copy(update={"tests": tuple(_shuffled(test, task.style, draw) for test in task.tests)})


def _shuffled(test: TestFile, style: str, draw: random.Random) -> TestFile:
    try:
        content = _content(test, style, draw)
    except SyntaxError:
        return test
    return test.model_copy(update={"content": content})


def _content(test: TestFile, style: str, draw: random.Random) -> str:
    if style in ("calls", "stdio"):
        rows = [line for line in test.content.splitlines() if line.strip()]
        draw.shuffle(rows)
        return "\n".join(rows) + "\n"
    if style in ("assert", "check"):
        return _asserts(test.content, style, draw)
    if style == "doctest":
        return _examples(test.content, draw)
    if not test.path.endswith(".py") or "load_tests" in test.content:
        return test.content
    return test.content + (_UNITTEST if style == "unittest" else _PYTEST).format(seed=draw.getrandbits(32))


def _asserts(content: str, style: str, draw: random.Random) -> str:
    """Asserts at the top level, or in `check`, change places with their neighbours."""
    tree = syntax_tree(content)
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    checks = (node for node in tree.body if isinstance(node, functions) and node.name == "check")
    for owner in [tree] if style == "assert" else checks:
        variables = _assigned(node for node in owner.body if not isinstance(node, ast.Assert))
        free = [isinstance(node, ast.Assert) and _free(node, variables) for node in owner.body]
        owner.body = _mixed(owner.body, free, draw)
    mixed = ast.unparse(tree) + "\n"
    return mixed if mixed != ast.unparse(syntax_tree(content)) + "\n" else content


def _examples(content: str, draw: random.Random) -> str:
    """Examples that only show a value change places with their neighbours."""
    examples = doctest.DocTestParser().get_examples(content)
    trees = [syntax_tree(example.source) for example in examples]
    shown = [
        bool(example.want) and isinstance(tree.body[0], ast.Expr) for example, tree in zip(examples, trees, strict=True)
    ]
    variables = _assigned(tree for tree, value in zip(trees, shown, strict=True) if not value)
    free = [value and _free(tree, variables) for tree, value in zip(trees, shown, strict=True)]
    mixed = _mixed(examples, free, draw)
    return content if mixed == examples else "\n".join(map(_example, mixed))


def _example(example: doctest.Example) -> str:
    first, *more = example.source.rstrip("\n").split("\n")
    return "\n".join([f">>> {first}", *(f"... {line}" for line in more), example.want])


def _mixed(items: Sequence[T], free: Sequence[bool], draw: random.Random) -> list[T]:
    """Each run of free items shuffled; the others stay."""
    mixed: list[T] = []
    for movable, run in groupby(zip(items, free, strict=True), key=lambda pair: pair[1]):
        part = [item for item, _ in run]
        if movable:
            draw.shuffle(part)
        mixed += part
    return mixed


def _assigned(nodes: Iterable[ast.AST]) -> set[str]:
    names = (name for node in nodes for name in ast.walk(node) if isinstance(name, ast.Name))
    return {name.id for name in names if isinstance(name.ctx, ast.Store)}


def _free(node: ast.AST, variables: set[str]) -> bool:
    """Whether it neither uses a variable of the file nor binds one."""
    parts = list(ast.walk(node))
    used = {part.id for part in parts if isinstance(part, ast.Name)}
    return not used & variables and not any(isinstance(part, ast.NamedExpr) for part in parts)
