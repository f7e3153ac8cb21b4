"""Several steps at once, each in a process of its own: for a machine with more room than one step needs.

A step starts when those that it needs have a record. What it prints goes to logs/STEP.log of the work folder. One that
fails takes with it only the steps that need it; all others are run before the command says what failed.
"""

import subprocess
import sys
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from iterpref.errors import IterPrefError

from .steps import needed_by

_POLL_S = 0.2


class StepsFailed(IterPrefError):
    """Some steps ended without a record."""


def run_in_processes(names: Sequence[str], left: Sequence[str], jobs: int, command: Sequence[str], logs: Path) -> None:
    """Run the steps `left` of all `names`, at most `jobs` at once, each by `command --only STEP`.

    Raises:
        StepsFailed: With the last line of each failed step's log, once no other step can be run.
    """
    logs.mkdir(parents=True, exist_ok=True)
    waiting, running, failed = list(left), {}, []
    try:
        while waiting or running:
            unfinished = {*waiting, *running, *failed}
            for name in [name for name in waiting if not needed_by(name, names) & unfinished][: jobs - len(running)]:
                waiting.remove(name)
                running[name] = _start(name, command, logs)
            if not running:
                break
            time.sleep(_POLL_S)
            for name in [name for name, process in running.items() if process.poll() is not None]:
                if running.pop(name).returncode:
                    failed.append(name)
                print(f"{'failed' if name in failed else 'finished'} {name} ({datetime.now():%H:%M})", flush=True)
    finally:
        _end(running.values())
    if failed:
        lines = [f"{name}: {_last_line(logs / f'{name}.log')}" for name in failed]
        raise StepsFailed("\n".join([*lines, f"not run: {', '.join(waiting) or 'none'}; logs are in {logs}"]))


def _start(name: str, command: Sequence[str], logs: Path) -> subprocess.Popen[bytes]:
    print(f"step {name} ({datetime.now():%H:%M})", flush=True)
    with (logs / f"{name}.log").open("ab") as log:
        return subprocess.Popen([*command, "--only", name], stdout=log, stderr=subprocess.STDOUT)


def _end(processes: Collection[subprocess.Popen[bytes]]) -> None:
    """Stop what still runs, as Ctrl-C does: stored answers stay."""
    for process in processes:
        with suppress(ProcessLookupError):
            process.terminate()
    for process in processes:
        process.wait()


def _last_line(log: Path) -> str:
    return next(reversed(log.read_text(encoding="utf-8", errors="replace").splitlines()), "no output")


def this_command() -> list[str]:
    """The command line of this process."""
    return [sys.executable, "-m", "benchmarks.real_models", *sys.argv[1:]]
