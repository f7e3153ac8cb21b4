"""An exception as a reader of the program wants it: its type, its message, and the frames that are the user's."""

import os
import types
from itertools import groupby
from typing import TypedDict

from ..values.texts import shorten, without_addresses

_MESSAGE = 500
_SOURCE = 160
_FRAMES = 8


class ErrorReport(TypedDict):
    """`message` begins with the type. `frames`: lines to be shown below it, such as `  line 3, in f: return xs[0]`.
    `bases` names the classes that the exception is an instance of, the nearest first."""

    type: str
    message: str
    frames: list[str]
    bases: str


class UserFiles:
    """The user's files by the name they were compiled under: what a frame is called, and its lines."""

    def __init__(self) -> None:
        self._folder = f"{os.getcwd()}/"
        self._files: dict[str, tuple[str, str]] = {}

    def add(self, filename: str, label: str, text: str) -> None:
        """`label` is put before "line 3"; empty for the program itself."""
        self._files[filename] = (label, text)

    def place(self, filename: str, line: int | None) -> str | None:
        """`line 3`, `test_a.py line 3`; None for a file that isn't the user's."""
        if filename not in self._files or line is None:
            return None
        label = self._files[filename][0]
        return f"{label} line {line}" if label else f"line {line}"

    def is_test(self, filename: str) -> bool:
        """Whether it is a file beside the program."""
        return bool(self._files.get(filename, ("", ""))[0])

    def relative(self, text: str) -> str:
        """A text without the folder that this run happens to have."""
        return text.replace(self._folder, "")

    def text(self, filename: str, line: int) -> str:
        lines = self._files[filename][1].split("\n")
        return shorten(lines[line - 1].strip(), _SOURCE) if 0 < line <= len(lines) else ""


def describe(error: BaseException, files: UserFiles) -> ErrorReport:
    bases = " ".join(cls.__name__ for cls in type(error).__mro__)[:_MESSAGE]
    name = type(error).__name__
    if isinstance(error, SyntaxError) and error.filename is not None:
        place = files.place(error.filename, error.lineno)
        if place is not None:
            source = files.text(error.filename, error.lineno or 0)
            shown = [f"  {place}: {source}"] if source else []
            return {"type": name, "message": f"{name}: {error.msg} ({place})", "frames": shown, "bases": bases}
    message = files.relative(message_of(error))
    head = f"{name}: {message}" if message else name
    return {"type": name, "message": head, "frames": _frames(error.__traceback__, files), "bases": bases}


def message_of(error: BaseException) -> str:
    """Bounded, even if `str(error)` raises."""
    try:
        return shorten(without_addresses(str(error)), _MESSAGE)
    except BaseException as inner:
        return f"<message raised {type(inner).__name__}>"


def _frames(traceback: types.TracebackType | None, files: UserFiles) -> list[str]:
    lines = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        place = files.place(code.co_filename, traceback.tb_lineno)
        if place is not None:
            where = "" if code.co_name == "<module>" else f", in {code.co_name}"
            lines.append(f"  {place}{where}: {files.text(code.co_filename, traceback.tb_lineno)}")
        traceback = traceback.tb_next
    runs = [(line, sum(1 for _ in same)) for line, same in groupby(lines)]
    hidden = runs[2 : 4 - _FRAMES] if len(runs) > _FRAMES else []
    shown = [line if count == 1 else f"{line} ({_about(count)} times)" for line, count in runs]
    if hidden:
        shown[2 : 4 - _FRAMES] = [f"  ... {_about(sum(count for _, count in hidden))} more frames"]
    return shown


def _about(count: int) -> str:
    """A number that doesn't depend on how many frames of ours lie below, where it is large."""
    return str(count) if count < 50 else f"about {max(100, round(count, -2))}"
