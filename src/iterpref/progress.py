"""Progress on a terminal: one bar per step, on standard error; plain lines where there is no terminal."""

import sys
import time
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as EtaColumn


class ProgressBars:
    """Call it with (what, done, total, note); a step is finished when done reaches total."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._live = console.is_terminal
        bar = (TextColumn("{task.description:<10}"), BarColumn(bar_width=24), MofNCompleteColumn())
        times = (TimeElapsedColumn(), EtaColumn(), TextColumn("{task.fields[note]}"))
        self._progress = Progress(*bar, *times, console=console, disable=not self._live)
        self._steps: dict[str, TaskID] = {}
        self._printed_at: dict[str, float] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def __call__(self, what: str, done: int, total: int, note: str) -> None:
        if not self._live:  # a line at the end of a step and every few seconds before
            now = time.monotonic()
            if done >= total or now - self._printed_at.get(what, 0.0) > 10:
                self._printed_at[what] = now
                print(f"{what}: {done}/{total} {note}".rstrip(), file=sys.stderr, flush=True)
            return
        if what not in self._steps or (done < total and self._progress.tasks[self._steps[what]].finished):
            self._steps[what] = self._progress.add_task(what, total=total, note=note)
        self._progress.update(self._steps[what], completed=done, total=total, note=note)
