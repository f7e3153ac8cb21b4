"""What tests that run in the program's own process work with. Standard library only."""

from typing import Any, NamedTuple

from .negative_control import Control
from .reports import Report
from .tracebacks import UserFiles


class Session(NamedTuple):
    """`tests`: `[path, content]` of each file. `namespace`: the program's. `control`: None in the first run."""

    tests: list[list[str]]
    entry_point: str | None
    namespace: dict[str, Any]
    report: Report
    files: UserFiles
    control: Control | None
