"""argv → configuration → one entry function. No logic of the method is here; heavy imports wait for their command.

Progress and messages go to standard error; with `--json` the last line of standard output is one JSON object.
"""

from . import data, exporting, learning, measuring, reviewing, serving, settings, suite, viewing
from .app import app, main

__all__ = [
    "app", "data", "exporting", "learning", "main", "measuring", "reviewing", "serving", "settings", "suite", "viewing",
]  # fmt: skip
