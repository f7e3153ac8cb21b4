"""Program of a reply → the same without what its tests don't need: asserts, prints, usage, `__main__` blocks.

Models add these below the function they were asked for; they would run with it, so that a right function fails by its
own wrong assert. Kept is what the tests' names need (statements.py), and whatever may change it or the interpreter:
module state that a loop fills, `sys.setrecursionlimit`. In doubt a statement is kept. What a kept line depends on is
kept, too, and a program of which nothing is cut stays the same text.
"""

import ast
import re
from dataclasses import dataclass
from functools import cached_property

from iterpref.records import Task
from iterpref.statements import UNREADABLE, Definition, Statement, outside_functions, reachable, top_level
from iterpref.task_tests.names import taken_names

_DYNAMIC = frozenset(("exec", "eval", "globals", "locals", "vars", "setattr"))  # with these, names can't be followed
_SPEAKING = frozenset(("print", "pprint", "input"))
_RUNNERS = frozenset(("unittest", "doctest", "pytest"))  # modules whose calls at the top level run tests
_SYSTEM = re.compile(r"sys\.(exit|std\w+)")
_PLAIN = ast.Constant | ast.UnaryOp | ast.BinOp | ast.Tuple | ast.operator | ast.unaryop | ast.expr_context


def trim(task: Task, program: str) -> str:
    """The program as the task's tests need it; as it is where it reads and prints, or isn't what was asked for."""
    if task.style == "stdio":
        return program
    asked = {task.entry_point} if task.entry_point else set()
    try:
        statements = top_level(program)
    except UNREADABLE:
        return program
    defined = frozenset[str]().union(*(s.binds for s in statements))
    wanted = (taken_names(task.tests, task.style, task.program_path) | asked) & defined
    if not wanted or not asked <= defined:
        return program
    needs = _Needs(statements, wanted)
    kept = set() if needs.hidden else needs.kept()
    return _without(program, statements, kept) if 0 < len(kept) < len(statements) else program


def _without(program: str, statements: list[Statement], kept: set[Statement]) -> str:
    """The lines of a program without some of its statements and the comments above and behind those."""
    lines = program.split("\n")
    left: list[str] = []
    start = 0
    for statement in statements:
        if statement in kept:
            left += lines[start : statement.last]
        start = statement.last
    if statements[-1] in kept:
        left += lines[start:]
    return "\n".join(left).strip("\n").rstrip()


@dataclass
class _Needs:
    """Which statements are needed for the names that are `wanted`."""

    statements: list[Statement]
    wanted: frozenset[str]

    def __post_init__(self) -> None:
        self.names = set(self.wanted)

    @property
    def hidden(self) -> bool:
        """Whether names are used in a way that can't be followed, but for usage."""
        used = (s for s in self.statements if not (_asks_for_main(s) or any(map(_speaks, s.nodes))))
        return any(_DYNAMIC & statement.reads for statement in used)

    def kept(self) -> set[Statement]:
        """Grows until no further statement belongs to it."""
        kept: set[Statement] = set()
        while fresh := [s for i, s in enumerate(self.statements) if s not in kept and self._needed(i, s)]:
            kept.update(fresh)
            for statement in fresh:
                self.names |= statement.reads | statement.assigns
        return kept

    def _needed(self, index: int, statement: Statement) -> bool:
        if _asks_for_main(statement) or all(isinstance(node, ast.Assert) for node in statement.nodes):
            return False
        if statement.imports or statement.binds & self.names or (index == 0 and _is_text(statement)):
            return True
        if statement.definition is not None:
            return self._registers(statement.definition)
        if any(map(_speaks, statement.nodes)):
            return bool(self._assigned(statement.reads))
        return self._changes(statement)

    def _registers(self, definition: Definition) -> bool:
        """Whether a definition is handed to something that is needed, or that keeps it: a decorator, a base class."""
        outer: list[ast.expr] = [*definition.decorator_list]
        if isinstance(definition, ast.ClassDef):
            outer += [*definition.bases, *(keyword.value for keyword in definition.keywords)]
        read = frozenset(inner.id for node in outer for inner in ast.walk(node) if isinstance(inner, ast.Name))
        return bool(read & self.names & self._own or self._touched(read))

    def _changes(self, statement: Statement) -> bool:
        """Whether running it may change what a needed name stands for, or a library's settings."""
        inner = (part for s in self._called(statement.reads) for node in s.nodes for part in getattr(node, "body", ()))
        if self._assigned(statement.reads) or (self._touched(statement.reads) and not any(map(_speaks, inner))):
            return True
        return any(map(self._reaches_out, statement.nodes))

    def _touched(self, read: frozenset[str]) -> frozenset[str]:
        """Needed names with a changeable value among those that a statement reads, or a function that it calls."""
        return read.union(*(function.reads for function in self._called(read))) & self.names & self._state

    def _assigned(self, read: frozenset[str]) -> frozenset[str]:
        """Needed names that a function which it calls gives a value (`global`)."""
        return frozenset[str]().union(*(s.assigns for s in self._called(read))) & self.names

    def _reaches_out(self, node: ast.stmt) -> bool:
        """A call such as `sys.setrecursionlimit(10**6)`, `f.register(g)`, an assignment such as `f.limit = 3`."""
        if isinstance(node, ast.Expr):
            changed = [getattr(node.value, "func", None)]
        else:
            changed = getattr(node, "targets", [getattr(node, "target", None)])
        for part in changed:
            if not isinstance(part, ast.Attribute | ast.Subscript):
                continue
            root, usage = _root(part), self._functions & {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
            if root in self.names & self._own:
                return True
            if root in self._imported - _RUNNERS and not usage and not _SYSTEM.match(ast.unparse(part)):
                return True
        return False

    def _called(self, read: frozenset[str]) -> list[Statement]:
        """The program's functions that a statement may call, but for those that the tests call anyway."""
        functions = [s for s in self.statements if s.definition is not None and not s.binds & self.wanted]
        return reachable(functions, read - self.wanted)

    @cached_property
    def _own(self) -> set[str]:
        return {name for s in self.statements if not s.imports for name in s.binds}

    @cached_property
    def _functions(self) -> set[str]:
        return {name for s in self.statements if s.definition is not None or _is_lambda(s) for name in s.binds}

    @cached_property
    def _imported(self) -> set[str]:
        return {name for s in self.statements if s.imports for name in s.binds}

    @cached_property
    def _state(self) -> set[str]:
        """Names whose value can change in place: neither functions nor modules nor numbers and texts."""
        changing = {name for s in self.statements if not _is_plain(s) for name in s.binds}
        return (self._own & changing) - self._functions


def _asks_for_main(statement: Statement) -> bool:
    """`if __name__ == "__main__":`, whose block never runs under tests."""
    return all(
        isinstance(node, ast.If) and not node.orelse and "__name__" in ast.unparse(node.test)
        for node in statement.nodes
    )  # fmt: skip


def _is_lambda(statement: Statement) -> bool:
    return all(isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda) for node in statement.nodes)


def _is_text(statement: Statement) -> bool:
    return all(isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant) for n in statement.nodes)


def _is_plain(statement: Statement) -> bool:
    """An assignment of numbers and texts, or of an expression over them."""
    values = [node.value for node in statement.nodes if isinstance(node, ast.Assign | ast.AnnAssign) and node.value]
    whole = len(values) == len(statement.nodes)
    return whole and all(isinstance(inner, _PLAIN) for value in values for inner in ast.walk(value))


def _speaks(node: ast.AST) -> bool:
    """Whether it prints, reads or asserts when it runs: usage, not the making of something."""
    for inner in outside_functions(node):
        if isinstance(inner, ast.Assert):
            return True
        if isinstance(inner, ast.Call) and getattr(inner.func, "id", getattr(inner.func, "attr", "")) in _SPEAKING:
            return True
    return False


def _root(node: ast.expr) -> str:
    """The name that `a.b[0].c()` begins with."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""
