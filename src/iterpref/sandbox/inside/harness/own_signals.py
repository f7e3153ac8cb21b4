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


def mend(report: Report) -> None:
    """In the run's process: make it mortal, where it isn't."""
    if os.getpid() != 1:
        return

    def leave(number: int, _: object = None) -> None:
        report("signal", int(number))
        os._exit(128 + number)

    def is_fatal(number: int) -> bool:
        """Not where it has a handler, ignores it, or keeps it for later."""
        if os.getpid() != 1 or number in _HARMLESS or signal.getsignal(number) != signal.SIG_DFL:
            return False
        return number not in signal.pthread_sigmask(signal.SIG_BLOCK, ())

    def die_of(number: int) -> None:
        if is_fatal(number):
            leave(number)

    def kill(pid: int, number: int, /) -> None:
        if pid == 1:
            die_of(number)
        _kill(pid, number)
        if pid == 0:  # its group, itself among them
            die_of(number)

    def killpg(group: int, number: int, /) -> None:
        _killpg(group, number)
        if group in (0, 1):
            die_of(number)

    def raise_signal(number: int, /) -> None:
        die_of(number)
        _raise_signal(number)

    def pthread_kill(thread: Any, number: int, /) -> None:
        die_of(number)
        _pthread_kill(thread, number)

    def abort() -> None:
        die_of(signal.SIGABRT)
        _abort()

    def setitimer(which: int, *times: float) -> Any:
        if any(times) and is_fatal(_TIMERS[which]):
            with contextlib.suppress(ValueError):  # not in the main thread
                signal.signal(_TIMERS[which], leave)
        return _setitimer(which, *times)

    def alarm(seconds: int, /) -> int:
        left: float = setitimer(signal.ITIMER_REAL, seconds)[0]
        return round(left)

    os.kill, os.killpg, os.abort = kill, killpg, abort  # type: ignore[assignment]
    signal.raise_signal, signal.pthread_kill = raise_signal, pthread_kill
    signal.setitimer, signal.alarm = setitimer, alarm
