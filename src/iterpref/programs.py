"""Completion text → program: take the code block out of a model's reply, and say whether it parses.

Pure text, linear in its length. Not here: cutting a program down to what an entry point needs (statements.py).
"""

import ast
import re
import textwrap
import threading
from itertools import chain, pairwise
from typing import NamedTuple, TypeGuard

_FENCE = re.compile(r"^[ \t]*+(?P<mark>`{3,}+|~{3,}+)[ \t]*+(?P<info>[^\n`]*+)$", re.MULTILINE)
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def code_blocks(text: str) -> list[tuple[int, int]]:
    """Character ranges [start, stop) of the Python code inside each fenced block, fences left out.

    A block that is never closed (a completion cut by its token limit) reaches to the end of the text. Blocks in another
    language are skipped.
    """
    return [(start, stop) for start, stop, language in _blocks(text) if language in _PYTHON]


def other_languages(text: str) -> list[str]:
    """The languages of its fenced blocks that are not Python, as they are written there."""
    return list(dict.fromkeys(language for *_, language in _blocks(text) if language not in _PYTHON))


_PYTHON = {"python", "py", "python3", ""}


def _blocks(text: str) -> list[tuple[int, int, str]]:
    """Start, stop and language of the code inside each fenced block."""
    found: list[tuple[re.Match[str], int]] = []  # a block's opening fence, and where it stops
    opening: re.Match[str] | None = None
    for fence in _FENCE.finditer(text):
        if opening is None:
            opening = fence
        elif fence["mark"].startswith(opening["mark"]) and not fence["info"].strip():
            found.append((opening, fence.start()))
            opening = None
    if opening is not None:
        found.append((opening, len(text)))
    blocks = [(min(f.end() + 1, len(text)), stop, f["info"].strip().lower().split(" ")[0]) for f, stop in found]
    return [block for block in blocks if block[0] <= block[1]]


class CodeLine(NamedTuple):
    """One line of code in a completion and where it stands; `stop` lies behind its newline."""

    text: str
    start: int
    stop: int


def code_lines(text: str) -> list[CodeLine]:
    """The lines of code in a completion, in order. They end at "\\n" only, as tokenizers see them.

    Prose and fences hold none. Where no block is Python, those of other languages count; without a block all is code.
    """
    lines = []
    others = [(start, stop) for start, stop, _ in _blocks(text)]
    for block_start, block_stop in code_blocks(text) or others or [(0, len(text))]:
        start = block_start
        while start < block_stop:
            newline = text.find("\n", start, block_stop)
            stop = block_stop if newline < 0 else newline + 1
            lines.append(CodeLine(text[start:stop].removesuffix("\n"), start, stop))
            start = stop
    return lines


class Extracted(NamedTuple):
    """The program in a reply, "" when there is none.

    `open`: no fence ended it before the reply did. Its block is not closed, or the reply is code without a fence, or
    holds no program. Where the reply was cut at its token limit, the program was cut with it.
    """

    program: str
    open: bool


def extract(completion: str, entry_point: str | None = None) -> Extracted:
    """The program in a model's reply.

    Takes the last Python block that defines `entry_point`, else the last block that parses, else the last block. A
    reply without any fence is taken as code if it parses, else it is prose and the program is "".
    """
    blocks = [
        Extracted(textwrap.dedent(completion[start:stop]).rstrip(), stop == len(completion))
        for start, stop in reversed(code_blocks(completion))
    ]
    candidates = [block for block in blocks if block.program.strip()]
    if not candidates:
        bare = "" if _FENCE.search(completion) else completion.strip("\n").rstrip()
        return Extracted(bare if bare and parses(bare) else "", open=True)
    asked = (block for block in candidates if entry_point and defines(block.program, entry_point))
    return next(chain(asked, (block for block in candidates if parses(block.program))), candidates[0])


def extract_program(completion: str, entry_point: str | None = None) -> str:
    """The program in a model's reply, as `extract` finds it; "" when there is none."""
    return extract(completion, entry_point).program


def code_of(completion: str) -> str:
    """The program in one side of a pair, broken or in another language included: `extract_program`, where that finds
    none the last block of any language, and without a block the text as it is."""
    if program := extract_program(completion):
        return program
    blocks = [textwrap.dedent(completion[start:stop]).rstrip() for start, stop, _ in _blocks(completion)]
    return next((code for code in reversed(blocks) if code.strip()), "" if blocks else completion.strip("\n").rstrip())


def is_bare_code(text: str) -> bool:
    """Whether a text without a fence is code that need not parse, and no prose: at least half of its lines look so."""
    lines = [line for line in text.split("\n") if line.strip()]
    return not _FENCE.search(text) and 2 * sum(bool(_CODE_LINE.match(line)) for line in lines) >= len(lines) > 0


# A line that prose hardly has.
_CODE_LINE = re.compile(
    r"""\s*(?:
    (?:async\s+)?def\s+\w+\s*\( | class\s+\w+\s*[:({] | @\w | [#] | //
    | import\s+[\w.]+\s*(?:,|;|$|as\b) | from\s+[\w.]+\s+import\b
    | return\b(?!\s+(?:a|an|the|this|that)\s) | (?:pass|break|continue)\s*$ | (?:raise|assert|yield)\s+\w
    | (?:for|while|if|elif|else|try|except|finally|with|match|case)\b.*[:{)]\s*$ | for\s+\w+\s+in\s+\w+\(
    | [\w.\[\]'", ]+?\s*(?:[-+*/%&|^]|//|\*\*|<<|>>)?=(?!=)                # an assignment
    | [\w.]+\( | [\])}]+[,;]?\s*$ | .*(?:[\w)\]]\s*\{|\S[)\]\w"']+;|^\s*[{}]+;?)\s*$  # a call, brackets
    )""",
    re.VERBOSE,
)


def parses(program: str) -> bool:
    try:
        syntax_tree(program)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


PARSING = threading.Lock()  # for libraries that parse; `syntax_tree` takes it itself


def syntax_tree(source: str, filename: str = "<program>") -> ast.Module:
    """`ast.parse` for code that several threads run; raises SyntaxError.

    CPython 3.11 counts the depth of the tree it builds in one place for all threads; when they are switched while it
    builds, it raises `SystemError: AST constructor recursion depth mismatch`.
    """
    with PARSING:
        try:
            return ast.parse(source, filename)
        except ValueError as error:  # NUL characters and lone surrogates
            raise SyntaxError(str(error)) from None


def without_docstrings(tree: ast.Module) -> ast.Module:
    """The same tree, changed: the docstrings of module, classes and functions are gone."""
    for node in ast.walk(tree):
        if has_docstring(node):
            del node.body[0]
    return tree


def has_docstring(node: ast.AST) -> TypeGuard[Documented]:
    return isinstance(node, Documented) and ast.get_docstring(node, clean=False) is not None


def length_label(lines: int) -> str:
    """`6-10 lines`: the group of programs that a length belongs to."""
    for low, high in pairwise((0, 5, 10, 20, 40)):
        if lines <= high:
            return f"{low + 1}-{high} lines"
    return "41 lines or more"


def expression(source: str) -> ast.expr:
    """The tree of one expression; see `syntax_tree`."""
    with PARSING:
        return ast.parse(source.strip(), mode="eval").body


def defines(program: str, name: str) -> bool:
    """Whether a line of the program defines a function or class, or assigns a variable, of this name."""
    escaped = re.escape(name)
    return bool(re.search(rf"^[ \t]*+(?:(?:async\s+def|def|class)\s+{escaped}\b|{escaped}\s*=)", program, re.MULTILINE))


def fenced(program: str) -> str:
    """The program as a fenced Python block: the default rendering of a completion.

    The fence is longer than any in the program itself (in a docstring, say), so that the block ends where it should.
    """
    body = program.rstrip("\n")
    mark = "`" * max(3, *(len(fence["mark"]) + 1 for fence in _FENCE.finditer(body)), 3)
    return f"{mark}python\n{body}\n{mark}"
