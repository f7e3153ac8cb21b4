"""A run that sends itself a signal dies of it, as on a plain machine, also where it is pid 1 of its namespace.

There the kernel ignores what a process sends itself, unless it has a handler. So Python's ways of sending are
exchanged: they report the signal and leave. What a program sends by other ways (C, a shell) stays without effect.
"""

import contextlib
import os
import signal
from typing import Any

from .session import Report

_kill, _killpg, _abort = os.kill, os.killpg, os.abort
_raise_signal, _pthread_kill = signal.raise_signal, signal.pthread_kill
_setitimer = signal.setitimer
_TIMERS = {
    signal.ITIMER_REAL: signal.SIGALRM,
    signal.ITIMER_VIRTUAL: signal.SIGVTALRM,
    signal.ITIMER_PROF: signal.SIGPROF,
}
_HARMLESS = {0} | {
    int(getattr(signal, name))
    for name in ("SIGCHLD", "SIGURG", "SIGWINCH", "SIGCONT", "SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU")
}
_report: Report | None = None


def replace_senders() -> None:
    """Where runs will be pid 1, in the process that they are forked from, or that becomes one: exchange Python's ways.

    Once, and not in each run: a function made there costs pages that must be copied first.
    """
    os.kill, os.killpg, os.abort = _kill_or_die, _killpg_or_die, _abort_or_die  # type: ignore[assignment]
    signal.raise_signal, signal.pthread_kill = _raise_or_die, _pthread_kill_or_die
    signal.setitimer, signal.alarm = _setitimer_or_die, _alarm_or_die


def tell(report: Report) -> None:
    """In a run: what to report the signal by that it dies of."""
    global _report
    _report = report


def _leave(number: int, _: object = None) -> None:
    if _report:
        _report("signal", int(number))
    os._exit(128 + number)


def _is_fatal(number: int) -> bool:
    """Not where it has a handler, ignores it, or keeps it for later; nor in a process that isn't pid 1."""
    if os.getpid() != 1 or number in _HARMLESS or signal.getsignal(number) != signal.SIG_DFL:
        return False
    return number not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def _die_of(number: int) -> None:
    if _is_fatal(number):
        _leave(number)


def _kill_or_die(pid: int, number: int, /) -> None:
    if pid == 1:
        _die_of(number)
    _kill(pid, number)
    if pid == 0:  # its group, itself among them
        _die_of(number)


def _killpg_or_die(group: int, number: int, /) -> None:
    _killpg(group, number)
    if group in (0, 1):
        _die_of(number)


def _raise_or_die(number: int, /) -> None:
    _die_of(number)
    _raise_signal(number)


def _pthread_kill_or_die(thread: Any, number: int, /) -> None:
    _die_of(number)
    _pthread_kill(thread, number)


def _abort_or_die() -> None:
    _die_of(signal.SIGABRT)
    _abort()


def _setitimer_or_die(which: int, *times: float) -> Any:
    if any(times) and _is_fatal(_TIMERS[which]):
        with contextlib.suppress(ValueError):  # not in the main thread
            signal.signal(_TIMERS[which], _leave)
    return _setitimer(which, *times)


def _alarm_or_die(seconds: int, /) -> int:
    left: float = _setitimer_or_die(signal.ITIMER_REAL, seconds)[0]
    return round(left)
