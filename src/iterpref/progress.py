"""Progress on a terminal: one bar per step, on standard error; plain lines where there is no terminal.

What our modules log meanwhile, such as a call that is tried again, is a line above the bars.
"""

import logging
import sys
import time
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as EtaColumn

LINE_EVERY_S = {"decode": 2.0}
"""Seconds between the lines of a step where there is no terminal; of all others 10."""
LOGGER = logging.getLogger("iterpref")


class _Lines(logging.Handler):
    """Log records as lines of the console, which keeps its bars below them."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.WARNING)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        self._console.print(record.getMessage(), markup=False, highlight=False, soft_wrap=True)


class ProgressBars:
    """Call it with (what, done, total, note); a step is finished when done reaches total."""

    def __init__(self) -> None:
        console = self._console = Console(stderr=True)
        self._live = console.is_terminal
        bar = (TextColumn("{task.description:<10}"), BarColumn(bar_width=24), MofNCompleteColumn())
        times = (TimeElapsedColumn(), EtaColumn(), TextColumn("{task.fields[note]}"))
        self._progress = Progress(*bar, *times, console=console, disable=not self._live)
        self._steps: dict[str, TaskID] = {}
        self._printed_at: dict[str, float] = {}
        self._log = _Lines(self._console)

    def __enter__(self) -> Self:
        LOGGER.addHandler(self._log)
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
        LOGGER.removeHandler(self._log)

    def __call__(self, what: str, done: int, total: int, note: str) -> None:
        if not self._live:  # a line at the end of a step and every few seconds before
            now = time.monotonic()
            if done >= total or now - self._printed_at.get(what, 0.0) >= LINE_EVERY_S.get(what, 10.0):
                self._printed_at[what] = now
                print(f"{what}: {done}/{total} {note}".rstrip(), file=sys.stderr, flush=True)
            return
        if what not in self._steps or (done < total and self._progress.tasks[self._steps[what]].finished):
            self._steps[what] = self._progress.add_task(what, total=total, note=note)
        self._progress.update(self._steps[what], completed=done, total=total, note=note)
