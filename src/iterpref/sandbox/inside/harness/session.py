"""What a run works with, and how it tells the host what happened: lines on the channel, each its nonce and JSON.

Out: `["import", error]`, `["call", i, value]`, `["raised", i, error]`, `["test", name, verdict, error, case]`,
`["packages", names]`, `["signal", number]`, `["end"]`. A program can write there too, so the host takes every line
for a claim.
"""

import json
import os
from collections.abc import Callable
from json.encoder import c_make_encoder, encode_basestring_ascii  # type: ignore[attr-defined]
from typing import Any, NamedTuple

from .negative_control import Control
from .tracebacks import UserFiles

Report = Callable[..., None]


def _encoder() -> Callable[[Any], str]:
    """`json.dumps`, without the functions that it makes anew each time, in pages that a run must copy first."""
    settings = json.JSONEncoder()
    if c_make_encoder is None:
        return settings.encode
    chunks = c_make_encoder(None, settings.default, encode_basestring_ascii, None, ": ", ", ", False, False, True)
    return lambda value: "".join(chunks(value, 0))


_encode = _encoder()


class Session(NamedTuple):
    """Of tests in the program's process. `tests`: `[path, content]` of each file. `control`: None in the first run."""

    tests: list[list[str]]
    entry_point: str | None
    namespace: dict[str, Any]
    report: Report
    files: UserFiles
    control: Control | None


def reporter(channel: int, nonce: str) -> Report:
    """What writes a line; its arguments are the parts of one."""
    # Bound here: a program that replaces os.write breaks only itself.
    write, encode, getpid, leave = os.write, _encode, os.getpid, os._exit
    owner = getpid()

    def report(*parts: Any) -> None:
        if getpid() != owner:
            leave(0)  # a process the program forked and let return
        view = memoryview(f"{nonce}{encode(parts)}\n".encode())
        while view:
            view = view[write(channel, view) :]

    return report
