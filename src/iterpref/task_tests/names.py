"""Names that tests take from the program: read where both share a namespace, imported from its module elsewhere."""

import ast
import builtins
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import PurePosixPath

from iterpref.programs import syntax_tree
from iterpref.records import Style, TestFile
from iterpref.statements import UNREADABLE, top_level

SHARED: frozenset[Style] = frozenset(("assert", "check"))  # tests that run in the program's own namespace
PYTHON: frozenset[Style] = SHARED | {"unittest", "pytest"}
_WORD = re.compile(r"\b[A-Za-z_]\w*\b")


def module_name(program_path: str) -> str:
    """What tests import the program as: `solution` for `solution.py`."""
    return ".".join(PurePosixPath(program_path).with_suffix("").parts)


@dataclass(frozen=True)
class ReadTest:
    """One file of Python tests that parses; `module` is the program's."""

    file: TestFile
    style: Style
    module: str

    @cached_property
    def tree(self) -> ast.Module:
        return syntax_tree(self.file.content)

    @cached_property
    def free(self) -> frozenset[str]:
        """Names that the file reads and binds nowhere; builtins, too."""
        statements = top_level(self.file.content)
        read = frozenset[str]().union(*(s.reads for s in statements))
        return read.difference(*(s.binds | s.assigns for s in statements))

    @cached_property
    def starred(self) -> bool:
        """Whether names come from a `*` import, so that `free` ones may be defined."""
        return any(alias.name == "*" for node in self._imports_from(None) for alias in node.names)

    @cached_property
    def imported(self) -> dict[str, str]:
        """Name in the file → the program's name for it, of `from solution import ...`."""
        aliases = (alias for node in self._imports_from(self.module) for alias in node.names)
        return {alias.asname or alias.name: alias.name for alias in aliases if alias.name != "*"}

    @cached_property
    def taken(self) -> frozenset[str]:
        """The program's names that the file uses."""
        return frozenset(filter(None, (self._own(node) for node in ast.walk(self.tree))))

    @cached_property
    def called(self) -> frozenset[str]:
        """Those of them that it calls; in `check(f)`, what it hands over."""
        calls = [node for node in ast.walk(self.tree) if isinstance(node, ast.Call)]
        functions = [call.func for call in calls]
        if self.style == "check":
            functions += [arg for call in calls if getattr(call.func, "id", "") == "check" for arg in call.args]
        return frozenset(filter(None, map(self._own, functions)))

    @cached_property
    def builtins(self) -> frozenset[str]:
        """The builtins that it calls."""
        calls = (node for node in ast.walk(self.tree) if isinstance(node, ast.Call))
        names = {getattr(call.func, "id", "") for call in calls}
        return frozenset(name for name in names & self.free if hasattr(builtins, name))

    def _own(self, node: ast.AST) -> str | None:
        """The program's name that an expression stands for."""
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in self._modules:
            return node.attr
        if isinstance(node, ast.Name) and node.id in self.imported:
            return self.imported[node.id]
        shared = self.style in SHARED or self.starred
        bare = isinstance(node, ast.Name) and shared and node.id in self.free and not hasattr(builtins, node.id)
        return node.id if bare and isinstance(node, ast.Name) else None

    @cached_property
    def _modules(self) -> frozenset[str]:
        """What the file calls the program's module."""
        imports = (alias for node in ast.walk(self.tree) if isinstance(node, ast.Import) for alias in node.names)
        return frozenset(alias.asname or alias.name for alias in imports if alias.name == self.module)

    def _imports_from(self, module: str | None) -> Iterable[ast.ImportFrom]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ImportFrom) and (module is None or node.module == module):
                yield node


@lru_cache(maxsize=256)  # a task's tests are read for many programs
def read_tests(tests: tuple[TestFile, ...], style: Style, program_path: str) -> list[ReadTest]:
    """The Python files among tests; those that don't parse are left out."""
    found = []
    for file in tests:
        test = ReadTest(file, style, module_name(program_path))
        try:
            if style in PYTHON and test.file.path.endswith(".py") and test.tree and test.free is not None:
                found.append(test)
        except UNREADABLE:
            continue
    return found


def taken_names(tests: tuple[TestFile, ...], style: Style, program_path: str) -> frozenset[str]:
    """All names that the tests may take from the program; of a doctest, every word in it."""
    if style == "doctest":
        return frozenset(_WORD.findall("\n".join(file.content for file in tests)))
    return frozenset[str]().union(*(test.taken for test in read_tests(tests, style, program_path)))


def tested_function(tests: tuple[TestFile, ...], style: Style, program_path: str) -> str | None:
    """The one function (or class) of the program that the tests call; None if they call several, or none by name.

    Names that tests define or import elsewhere don't count, nor do builtins, nor `Solution`, whose methods are the
    functions asked for.
    """
    read = read_tests(tests, style, program_path)
    called = frozenset[str]().union(*(test.called for test in read))
    if not called and style in SHARED:  # a program may have the name of a builtin
        called = frozenset[str]().union(*(test.builtins for test in read))
    return next(iter(called)) if len(called) == 1 and called != {"Solution"} else None
