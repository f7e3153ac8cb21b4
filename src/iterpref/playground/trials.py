"""Run one of the playground's own programs in this process, and word what went wrong.

Tasks and the pretraining corpus need hundreds of thousands of runs of programs that this package wrote itself: they
are trusted, short and free of endless loops. A model's program is never run here; it goes to `iterpref.sandbox`.
The words are those of `debugging.feedback` about a sandboxed Execution (a test compares them).
"""

import copy
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

_FILENAME = "<playground>"
_REPR_CHARS = 200


@dataclass(frozen=True)
class CallOutcome:
    """What one call gave: `shown` is the repr of its value, or the exception's one line.

    `key` compares outcomes as tests do, by value. `frames`: (line, function) of an exception, innermost last.
    """

    shown: str
    key: Any
    raised: bool = False
    frames: tuple[tuple[int, str], ...] = ()

    def same(self, other: "CallOutcome") -> bool:
        return self.raised == other.raised and bool(self.key == other.key)


def outcomes(program: str, arguments: Sequence[Any]) -> list[CallOutcome]:
    """Call `solve` once per argument, each time on a copy of it.

    Raises:
        SyntaxError, NameError, ...: The program can't be loaded.
    """
    namespace: dict[str, Any] = {}
    exec(compile(program, _FILENAME, "exec"), namespace)
    return [_call(namespace["solve"], argument) for argument in arguments]


def as_newer_python(outcome: CallOutcome) -> CallOutcome:
    """The outcome as Python 3.12 and later show it, where comprehensions have no frame of their own."""
    frames = tuple(f for f in outcome.frames if f[1] not in ("<listcomp>", "<dictcomp>", "<setcomp>"))
    return replace(outcome, frames=frames)


def feedback(program: str, argument: Any, got: CallOutcome, expected: CallOutcome) -> str:
    """One failed call as a model reads it; `argument` is what `solve` was called with."""
    call = f"solve({_cut(repr(argument))})"
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


def _call(solve: Any, argument: Any) -> CallOutcome:
    try:
        value = solve(copy.copy(argument))  # arguments are flat containers of immutable values
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
