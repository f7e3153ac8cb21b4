"""Progress, on standard error: on a terminal one bar a step, with what is being done below; elsewhere plain lines.

On a terminal something moves all the time. Elsewhere a step says where it is when it begins, every ten seconds and at
its end; where nothing can be said, that is said. What our modules log meanwhile, such as a call that is tried again, is
a line above the bars.
"""

import logging
import os
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.spinner import Spinner
from rich.text import Text

from iterpref.doing import doing_now
from iterpref.visible import shown

LINE_EVERY_S = 10.0
"""Seconds between lines where there is no terminal."""
STILL_AFTER_S = 3.0
"""Seconds without news after which a terminal shows that work goes on."""
LOGGER = logging.getLogger("iterpref")


class _Lines(logging.Handler):
    """Log records as lines of the console, which keeps its bars below them."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.WARNING)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        self._console.print(shown(record.getMessage()), markup=False, highlight=False, soft_wrap=True)


class _Times(ProgressColumn):
    """How long a step has taken, how fast it goes, and how long it will take."""

    def render(self, task: Task) -> Text:
        spent = _clock(task.finished_time if task.finished else task.elapsed)
        rate = _rate(task.finished_speed or task.speed) if task.completed else ""
        left = "" if task.finished or task.time_remaining is None else f"{_clock(task.time_remaining)} left"
        return Text("  ".join(filter(None, (spent, rate, left))), style="cyan")


class _Bars(Progress):
    """Bars, and below them what is being done, as long as that is not one of them."""

    words = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        if self.words:
            yield Spinner("dots", Text(self.words, style="dim"))


@dataclass
class _Step:
    """How far a step has come, as it was told last."""

    done: int
    total: int
    note: str

    @property
    def over(self) -> bool:
        return self.done >= self.total

    @property
    def said(self) -> str:
        return f"{self.done}/{self.total} {self.note}".rstrip()


class ProgressBars:
    """Call it with (what, done, total, note); a step is finished when done reaches total.

    Of a launcher's processes only the first shows anything but its log.
    """

    def __init__(self) -> None:
        console = self._console = Console(stderr=True)
        self._live = console.is_terminal
        self._first = os.environ.get("RANK", "0") == "0"
        columns = (TextColumn("{task.description:<10}"), BarColumn(bar_width=24), MofNCompleteColumn(), _Times())
        note = TextColumn("{task.fields[note]}", markup=False)
        show = self._live and self._first
        self._bars = _Bars(*columns, note, console=console, disable=not show, redirect_stdout=False)
        self._ids: dict[str, TaskID] = {}
        self._steps: dict[str, _Step] = {}
        self._printed: dict[str, float] = {}
        self._news = self._line = time.monotonic()
        self._words, self._words_since = "", self._news
        self._log = _Lines(self._console)
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="progress", daemon=True)

    def __enter__(self) -> Self:
        LOGGER.addHandler(self._log)
        self._bars.start()
        if self._first:
            self._watcher.start()
        return self

    def __exit__(self, failed: object, *_: object) -> None:
        self._over.set()
        if self._first:
            self._watcher.join()
        self._bars.words = ""
        for name, step in self._steps.items():
            if self._live and not failed and not step.over:  # what a model decoded: nobody counts its last answer
                self._bars.update(self._ids[name], visible=False)
        self._bars.stop()
        LOGGER.removeHandler(self._log)

    def __call__(self, what: str, done: int, total: int, note: str) -> None:
        self._news, total = time.monotonic(), max(total, done)
        step, note = self._steps.get(what), shown(note)
        begins = step is None or (step.over and done < total)
        self._steps[what] = step = _Step(done, total, note)
        if not self._live:
            if begins or step.over or self._news - self._printed[what] >= LINE_EVERY_S:
                self._print(f"{what}: {step.said}", what)
            return
        if begins:
            self._ids[what] = self._bars.add_task(what, total=total, note=note)
        self._bars.update(self._ids[what], completed=done, total=total, note=note)

    def _print(self, line: str, what: str = "") -> None:
        self._line = time.monotonic()
        self._printed[what] = self._line
        print(line, file=sys.stderr, flush=True)

    def _watch(self) -> None:
        """Until the end: say what is done where no step says anything new."""
        while not self._over.wait(0.25 if self._live else 1.0):
            now = time.monotonic()
            words = doing_now()
            if words != self._words:
                self._words, self._words_since = words, now
            if self._live:
                self._bars.words = self._still(now)
            elif now - self._line >= LINE_EVERY_S:
                self._print(self._still(now) or "working")

    def _still(self, now: float) -> str:
        """What is done now, or how long nothing has been said; "" while there is news."""
        if self._words:
            return f"{self._words}, {_clock(now - self._words_since)}"
        if now - self._news < STILL_AFTER_S:
            return ""
        running = [f"{what}: {step.said}, " for what, step in self._steps.items() if not step.over]
        last = running[-1] if running and not self._live else ""
        return f"{last}{'nothing new for' if running else 'working,'} {_clock(now - self._news)}"


def _clock(seconds: float | None) -> str:
    whole = round(seconds or 0.0)
    return f"{whole} s" if whole < 100 else str(timedelta(seconds=whole))


def _rate(speed: float | None) -> str:
    """Items a second, or seconds an item."""
    if not speed:
        return ""
    return f"{speed:.1f}/s" if speed >= 1 else f"{1 / speed:.1f} s each"
