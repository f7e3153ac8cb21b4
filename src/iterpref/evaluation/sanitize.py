"""A reply or a completion, perhaps cut off or with prose → the code in it, cut down to what the entry point needs.

Kept are imports, and the top-level definitions that the entry point reaches by name, in their order; of two definitions
of one name the first that returns something, as EvalPlus keeps it.
Work is linear in the text's length: each line is parsed a bounded number of times.
"""

import ast
import re
from collections.abc import Iterator, Sequence

from iterpref.programs import code_blocks, defines, extract_program, parses, syntax_tree
from iterpref.statements import UNREADABLE, Statement, reachable, source, top_level

_CONTINUED = re.compile(r"[\s)\]}#]|(?:else|elif|except|finally)\b|$")  # first characters that open no new statement
_MOST_LINES = 64  # top-level lines that one statement may span, for example a docstring's
_PASSES = 5  # times the text's length that may be parsed in search of statements


def sanitize(text: str, entry_point: str | None = None) -> str:
    """The program in `text`; "" when there is no code in it.

    Without an entry point all definitions are kept. If nothing defines it, the code is returned whole, so that the
    failure that its tests report is the program's own.
    """
    code = extract_program(text, entry_point) if code_blocks(text) else text.strip("\n").rstrip()
    if not parses(code):
        code = "\n".join(parsing_parts(code))
    if not code.strip():
        return ""
    kept = _needed(code, entry_point)
    return kept if kept.strip() and (entry_point is None or defines(kept, entry_point)) else code


def parsing_parts(text: str) -> Iterator[str]:
    """The top-level statements of a text that also holds prose, broken lines or an unfinished end.

    A part begins at a line without indentation. One that is not complete (an open bracket, a long string) is tried
    together with the parts after it; prose is dropped.
    """
    parts = _parts(text.split("\n"))
    budget = _PASSES * len(text) + 10_000
    start = 0
    while start < len(parts):
        size = 1
        while True:
            candidate = "\n".join(parts[start : start + size])
            budget -= len(candidate)
            if parses(candidate):
                if not _is_prose(candidate):
                    yield candidate
                start += size
                break
            if budget < 0 or size >= _MOST_LINES or start + size >= len(parts) or not _unfinished(candidate):
                start += 1
                break
            size = min(2 * size, _MOST_LINES) if size > 4 else size + 1


def _parts(lines: Sequence[str]) -> list[str]:
    parts: list[list[str]] = []
    for line in lines:
        if parts and (parts[-1][-1].startswith("@") or _CONTINUED.match(line)):
            parts[-1].append(line)
        else:
            parts.append([line])
    return ["\n".join(part) for part in parts]


def _unfinished(part: str) -> bool:
    """Whether more lines might make it parse: a triple quote or a bracket is open."""
    return (
        part.count('"""') % 2 == 1
        or part.count("'''") % 2 == 1
        or any(part.count(a) > part.count(b) for a, b in ("()", "[]", "{}"))
        or part.rstrip().endswith("\\")
    )


def _is_prose(part: str) -> bool:
    """A line such as `Solution` or `Note: text`, which Python reads as a name or an annotation."""
    body = syntax_tree(part).body
    return all(
        (isinstance(node, ast.Expr) and isinstance(node.value, ast.Name | ast.Tuple | ast.Compare | ast.BoolOp))
        or (isinstance(node, ast.AnnAssign) and node.value is None)
        for node in body
    )


def _needed(code: str, entry_point: str | None) -> str:
    """Imports and reachable definitions of a program that parses, as they are written."""
    try:
        statements = top_level(code)
    except UNREADABLE:
        return code
    imports = [statement for statement in statements if _only_imports(statement)]
    binding = _first_definitions([s for s in statements if s.binds and not _only_imports(s)])
    if entry_point is not None:
        binding = reachable(binding, [entry_point])
    return source(code, [*imports, *binding])


def _only_imports(statement: Statement) -> bool:
    return all(isinstance(node, ast.Import | ast.ImportFrom) for node in statement.nodes)


def _first_definitions(statements: list[Statement]) -> list[Statement]:
    """Of several functions of one name, only the first that returns something, else the first."""
    chosen: dict[str, Statement] = {}
    for statement in statements:
        node = statement.definition
        if node is not None:
            known = chosen.get(node.name)
            if known is None or (not _returns(known.nodes[0]) and _returns(node)):
                chosen[node.name] = statement
    return [s for s in statements if s.definition is None or chosen[s.definition.name] is s]


def _returns(node: ast.stmt) -> bool:
    kinds = (ast.Return, ast.Yield, ast.YieldFrom)
    return isinstance(node, ast.ClassDef) or any(isinstance(n, kinds) for n in ast.walk(node))
