"""Run one of the playground's own programs in this process, and word what went wrong.

Tasks and the pretraining corpus need hundreds of thousands of runs of programs that this package wrote itself: they
are trusted and short. A loop that doesn't end is ended by counting its rounds: `MAX_ROUNDS` of them take less than a
millisecond, and are the same on every machine, which a clock's aren't. A model's program is never run here; it goes to
`iterpref.sandbox`. The words are those of `debugging.feedback` about a sandboxed Execution (a test compares them).
"""

import ast
import marshal
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

MAX_ROUNDS = 500  # of all loops of one call; inputs are small, and programs that end need under fifty
_FILENAME = "<playground>"
_REPR_CHARS = 200
_COUNTER = "_round"


@dataclass(frozen=True)
class CallOutcome:
    """What one call gave: `shown` is the repr of its value, or the exception's one line, or "" of an endless loop.

    `key` compares outcomes as tests do, by value. `frames`: (line, function) of an exception, innermost last. An
    endless call counts as one that raised.
    """

    shown: str
    key: Any
    raised: bool = False
    frames: tuple[tuple[int, str], ...] = ()
    endless: bool = False

    def same(self, other: "CallOutcome") -> bool:
        return self.raised == other.raised and bool(self.key == other.key)


def outcomes(program: str, arguments: Sequence[Any]) -> list[CallOutcome]:
    """Call `solve` once per argument, each time on a copy of it. Arguments are made of literals.

    Raises:
        SyntaxError, NameError, ...: The program can't be loaded.
    """
    counter = _Counter()
    namespace: dict[str, Any] = {_COUNTER: counter.count}
    exec(compile(_counting(program), _FILENAME, "exec"), namespace)
    return [_call(namespace["solve"], argument, counter) for argument in arguments]


def as_newer_python(outcome: CallOutcome) -> CallOutcome:
    """The outcome as Python 3.12 and later show it, where comprehensions have no frame of their own."""
    frames = tuple(f for f in outcome.frames if f[1] not in ("<listcomp>", "<dictcomp>", "<setcomp>"))
    return replace(outcome, frames=frames)


def feedback(program: str, argument: Any, got: CallOutcome, expected: CallOutcome) -> str:
    """One failed call as a model reads it; `argument` is what `solve` was called with."""
    call = f"solve({_cut(repr(argument))})"
    if got.endless:
        return f"The program used up its CPU time.\nIt was running {call}."
    if not got.raised:
        return f"{call} returned {_cut(got.shown)}, expected {_cut(expected.shown)}"
    source = program.split("\n")
    frames = [f"  line {line}, in {function}: {source[line - 1].strip()}" for line, function in got.frames]
    return "\n".join([f"{call} raised {got.shown}", *frames])


def syntax_feedback(program: str, error: SyntaxError) -> str:
    """A program that can't be compiled, as a model reads it."""
    line = error.lineno or 1
    source = program.split("\n")[line - 1].strip()
    return f"SyntaxError: {error.msg} (line {line})\n  line {line}: {source}"


class _EndlessLoop(BaseException):
    """Passes by every `except` that a program of ours has."""


class _Counter:
    """Counts the rounds of one call's loops."""

    def __init__(self) -> None:
        self.rounds = 0

    def count(self) -> None:
        self.rounds += 1
        if self.rounds > MAX_ROUNDS:
            raise _EndlessLoop


def _counting(program: str) -> ast.Module:
    """The program with a call of the counter at the start of each round of each loop; its lines keep their numbers."""
    tree = ast.parse(program, _FILENAME)
    for loop in ast.walk(tree):
        if isinstance(loop, ast.While | ast.For):
            call = ast.Expr(ast.Call(ast.Name(_COUNTER, ast.Load()), [], []))
            loop.body.insert(0, ast.fix_missing_locations(ast.copy_location(call, loop)))
    return tree


def _call(solve: Any, argument: Any, counter: _Counter) -> CallOutcome:
    counter.rounds = 0
    try:
        value = solve(marshal.loads(marshal.dumps(argument)))  # a fifth of what a deep copy takes
    except _EndlessLoop:
        return CallOutcome("", "endless", raised=True, endless=True)
    except Exception as error:
        frames = _program_frames(error.__traceback__)
        shown = "".join(traceback.format_exception_only(error)).strip()
        return CallOutcome(shown, (shown, frames), raised=True, frames=frames)
    return CallOutcome(repr(value), value)


def _program_frames(trace: TracebackType | None) -> tuple[tuple[int, str], ...]:
    """(line, function) of the program's own frames, outermost first."""
    found = [(line, frame.f_code) for frame, line in traceback.walk_tb(trace)]
    return tuple((line, code.co_name) for line, code in found if code.co_filename == _FILENAME)


def _cut(text: str) -> str:
    return text if len(text) <= _REPR_CHARS else text[: _REPR_CHARS - 3] + "..."
