"""Completion text → program: take the code block out of a model's reply, and say whether it parses.

Pure text, linear in its length. Not here: trimming a program to what an entry point needs (evaluation's sanitiser).
"""

import ast
import re
import textwrap
import threading
from itertools import pairwise
from typing import NamedTuple, TypeGuard

_FENCE = re.compile(r"^[ \t]*(?P<mark>`{3,}|~{3,})[ \t]*(?P<info>[^\n`]*)$", re.MULTILINE)
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
PYTHON_INFO = {"python", "py", "python3", ""}


def code_blocks(text: str) -> list[tuple[int, int]]:
    """Character ranges [start, stop) of the Python code inside each fenced block, fences left out.

    A block that is never closed (a completion cut by its token limit) reaches to the end of the text. Blocks in another
    language are skipped.
    """
    blocks: list[tuple[int, int]] = []
    opening: re.Match[str] | None = None
    for fence in _FENCE.finditer(text):
        if opening is None:
            opening = fence
        elif fence["mark"].startswith(opening["mark"]) and not fence["info"].strip():
            _append_python(blocks, opening, fence.start(), text)
            opening = None
    if opening is not None:
        _append_python(blocks, opening, len(text), text)
    return blocks


def _append_python(blocks: list[tuple[int, int]], opening: re.Match[str], stop: int, text: str) -> None:
    language = opening["info"].strip().lower().split(" ")[0]
    start = min(opening.end() + 1, len(text))
    if language in PYTHON_INFO and stop >= start:
        blocks.append((start, stop))


class CodeLine(NamedTuple):
    """One line of code in a completion and where it stands; `stop` lies behind its newline."""

    text: str
    start: int
    stop: int


def code_lines(text: str) -> list[CodeLine]:
    """The lines of code in a completion, in order. They end at "\\n" only, as tokenizers see them.

    Prose and fences hold none; a text without a Python block is all code.
    """
    lines = []
    for block_start, block_stop in code_blocks(text) or [(0, len(text))]:
        start = block_start
        while start < block_stop:
            newline = text.find("\n", start, block_stop)
            stop = block_stop if newline < 0 else newline + 1
            lines.append(CodeLine(text[start:stop].removesuffix("\n"), start, stop))
            start = stop
    return lines


def extract_program(completion: str, entry_point: str | None = None) -> str:
    """The program in a model's reply; "" when there is none.

    Takes the last Python block that defines `entry_point`, else the last block that parses, else the last block. A
    reply without any fence is taken as code if it parses, else it is prose and the answer is "".
    """
    candidates = [textwrap.dedent(completion[start:stop]).rstrip() for start, stop in code_blocks(completion)]
    candidates = [code for code in candidates if code.strip()]
    if not candidates:
        bare = "" if _FENCE.search(completion) else completion.strip("\n").rstrip()
        return bare if bare and parses(bare) else ""
    if entry_point:
        for code in reversed(candidates):
            if defines(code, entry_point):
                return code
    return next((code for code in reversed(candidates) if parses(code)), candidates[-1])


def parses(program: str) -> bool:
    """Whether the text is valid Python."""
    try:
        syntax_tree(program)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


_PARSING = threading.Lock()


def syntax_tree(source: str, filename: str = "<program>") -> ast.Module:
    """`ast.parse` for code that several threads run.

    CPython 3.11 counts the depth of the tree it builds in one place for all threads; when they are switched while it
    builds, it raises `SystemError: AST constructor recursion depth mismatch`.

    Raises:
        SyntaxError: The source is not Python.
    """
    with _PARSING:
        return ast.parse(source, filename)


def without_docstrings(tree: ast.Module) -> ast.Module:
    """The same tree, changed: the docstrings of module, classes and functions are gone."""
    for node in ast.walk(tree):
        if has_docstring(node):
            del node.body[0]
    return tree


def has_docstring(node: ast.AST) -> TypeGuard[Documented]:
    """Whether a node begins with a docstring."""
    return isinstance(node, Documented) and ast.get_docstring(node, clean=False) is not None


def length_label(lines: int) -> str:
    """`6-10 lines`: the group of programs that a length belongs to."""
    bounds = (0, 5, 10, 20, 40)
    for low, high in pairwise(bounds):
        if lines <= high:
            return f"{low + 1}-{high} lines"
    return f"{bounds[-1] + 1} lines or more"


def expression(source: str) -> ast.expr:
    """The tree of one expression; see `syntax_tree`."""
    with _PARSING:
        return ast.parse(source.strip(), mode="eval").body


def defines(program: str, name: str) -> bool:
    """Whether a line of the program defines a function or class, or assigns a variable, of this name."""
    escaped = re.escape(name)
    return bool(re.search(rf"^\s*(?:(?:async\s+def|def|class)\s+{escaped}\b|{escaped}\s*=)", program, re.MULTILINE))


def fenced(program: str) -> str:
    """The program as a fenced Python block: the default rendering of a completion.

    The fence is longer than any in the program itself (in a docstring, say), so that the block ends where it should.
    """
    body = program.rstrip("\n")
    mark = "`" * max(3, *(len(fence["mark"]) + 1 for fence in _FENCE.finditer(body)), 3)
    return f"{mark}python\n{body}\n{mark}"
