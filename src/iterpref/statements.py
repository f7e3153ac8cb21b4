"""The top-level statements of a program: what each binds, and which names of the module it reads.

Shared by what cuts programs down (evaluation's sanitiser, `task_tests/trim.py`) and by what reads tests. Scopes are
Python's own (`symtable`): a local variable of a function is no name of the module.
"""

import ast
import symtable
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from iterpref.programs import PARSING, syntax_tree

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError)


@dataclass(frozen=True)
class Statement:
    """One top-level statement, or several that share a line, on the lines `first` to `last` (from 1).

    `binds`: names of the module that get a value when it runs; `assigns`: those that its functions give one when they
    are called (`global`); `reads`: names that it or its functions look up in the module.
    """

    nodes: tuple[ast.stmt, ...]
    first: int
    last: int
    binds: frozenset[str]
    assigns: frozenset[str]
    reads: frozenset[str]

    @property
    def definition(self) -> Definition | None:
        """The function or class that it is, if it is one."""
        return self.nodes[0] if len(self.nodes) == 1 and isinstance(self.nodes[0], Definition) else None

    @property
    def imports(self) -> bool:
        """Whether it imports something, perhaps under a condition."""
        return any(isinstance(n, ast.Import | ast.ImportFrom) for node in self.nodes for n in outside_functions(node))


def top_level(program: str) -> list[Statement]:
    """The statements of a program, in order; raises SyntaxError, ValueError, RecursionError or MemoryError."""
    groups: list[list[ast.stmt]] = []
    for node in syntax_tree(program).body:
        if groups and (groups[-1][-1].end_lineno or 0) >= _first_line(node):
            groups[-1].append(node)
        else:
            groups.append([node])
    lines = program.split("\n")
    return [_statement(group, lines) for group in groups]


def source(program: str, statements: Collection[Statement]) -> str:
    """Some statements of a program as they are written there, without what stands between them."""
    lines = program.split("\n")
    return "\n".join("\n".join(lines[s.first - 1 : s.last]) for s in sorted(statements, key=lambda s: s.first))


def reachable(statements: Sequence[Statement], names: Collection[str]) -> list[Statement]:
    """Those that bind one of these names, or a name that one of them reads, and so on."""
    waiting, seen, found = list(names), set(names), set()
    while waiting:
        name = waiting.pop()
        for index, statement in enumerate(statements):
            if name in statement.binds:
                found.add(index)
                fresh = (statement.reads | statement.binds) - seen
                seen |= fresh
                waiting += fresh
    return [statements[index] for index in sorted(found)]


def _statement(nodes: list[ast.stmt], lines: Sequence[str]) -> Statement:
    first, last = min(map(_first_line, nodes)), max(node.end_lineno or 0 for node in nodes)
    binds, assigns, reads = _names("\n".join(lines[first - 1 : last]), nodes)
    return Statement(tuple(nodes), first, last, frozenset(binds), frozenset(assigns), frozenset(reads))


def _first_line(node: ast.stmt) -> int:
    decorators = node.decorator_list if isinstance(node, Definition) else []
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


def _names(text: str, nodes: Sequence[ast.stmt]) -> tuple[set[str], set[str], set[str]]:
    """(binds, assigns, reads) of one statement."""
    try:
        with PARSING:
            module = symtable.symtable(text, "<statement>", "exec")
    except UNREADABLE:  # such as `nonlocal` outside a function, which the parser lets pass: every name counts
        names = {n.id for node in nodes for n in ast.walk(node) if isinstance(n, ast.Name)}
        return names, set(), names
    binds = {s.get_name() for s in module.get_symbols() if s.is_assigned() or s.is_imported()}
    reads = {s.get_name() for s in module.get_symbols() if s.is_referenced()}
    inner = [symbol for table in _below(module) for symbol in table.get_symbols() if symbol.is_global()]
    assigns = {symbol.get_name() for symbol in inner if symbol.is_assigned()}
    return binds, assigns, reads | {symbol.get_name() for symbol in inner}


def _below(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    for child in table.get_children():
        yield child
        yield from _below(child)


def outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    """A node and those below it, without the insides of functions and classes, which run at another time."""
    yield node
    if not isinstance(node, Definition | ast.Lambda):
        for child in ast.iter_child_nodes(node):
            yield from outside_functions(child)
