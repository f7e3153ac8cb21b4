"""Which lines of the program run: the package coverage around everything that a run does, whatever its style.

Reports `["coverage", arcs, problem]`, an arc `[from, to]` being two lines that ran one after the other. For figures
on tests only: a program can forge them, and a run that is measured is slower, so verdicts come from other runs.
"""

import atexit
import os
import sys
from typing import Any, NoReturn

from .session import Report

_PROCESSES = ("os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system", "subprocess.Popen")
_SPAWNING = ("multiprocessing.popen_spawn_posix", "multiprocessing.popen_forkserver")  # these tell no audit hook


class Measurement:
    """Begins at once, before the program's folder is on the path. `path`: what the program is compiled under."""

    def __init__(self, path: str, report: Report) -> None:
        import coverage

        self._path, self._report, self._told = path, report, False
        self._started_processes = False
        self._leave, self._owner = os._exit, os.getpid()
        sys.addaudithook(self._audit)
        os._exit = self._exit  # type: ignore[assignment]  # a script may end so
        self._coverage = coverage.Coverage(branch=True, data_file=None, config_file=False, include=[path])
        self._coverage.start()
        self._trace = sys.gettrace()
        atexit.register(self.end)  # of a script: after the program's own handlers, before coverage's

    def end(self) -> None:
        """Tell what was seen, once."""
        if self._told:
            return
        self._told = True
        try:
            problem = "the program sets a trace function of its own" if sys.gettrace() is not self._trace else ""
            self._coverage.stop()
            arcs: Any = self._coverage.get_data().arcs(self._path) or []
        except BaseException as error:  # the program broke what coverage stands on
            arcs, problem = [], f"coverage ended with {type(error).__name__}"
        if self._started_processes or any(name in sys.modules for name in _SPAWNING):
            problem = problem or "the program starts processes of its own, whose lines are not seen"
        self._report("coverage", arcs, problem)

    def _audit(self, event: str, _: Any) -> None:
        if event in _PROCESSES:
            self._started_processes = True

    def _exit(self, status: int) -> NoReturn:
        if os.getpid() == self._owner:
            self.end()
        self._leave(status)
