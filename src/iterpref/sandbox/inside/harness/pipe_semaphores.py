"""Semaphores of `multiprocessing` made of pipes, for where there is no /dev/shm to make the system's in.

`multiprocessing` asks for a `SemLock` by kind, value and name and hands it to forked children. Here a semaphore is a
pipe that holds a byte per unit of its value: to acquire is to read one, to release to write one. Pools, queues, locks
and events of honest programs work on it; a child that was spawned, not forked, doesn't have the pipe.
"""

import contextlib
import fcntl
import os
import select
import termios
import threading
import time
from importlib import import_module
from typing import Any

RECURSIVE, SEMAPHORE = 0, 1  # as `multiprocessing.synchronize` numbers them


class PipeSemaphore:
    """In place of `_multiprocessing.SemLock`, whose attributes and methods it has."""

    SEM_VALUE_MAX = 32767  # POSIX's least; a pipe holds twice as many bytes

    def __init__(self, kind: int, value: int, maxvalue: int, name: str, unlink: bool) -> None:
        if not unlink:
            raise OSError("multiprocessing: only forked children share a semaphore here, not spawned ones")
        self.kind, self.maxvalue, self.name = kind, min(maxvalue, self.SEM_VALUE_MAX), None
        self._read, self._write = os.pipe()
        for end in (self._read, self._write):
            os.set_blocking(end, False)
        if value:
            os.write(self._write, b"x" * value)
        self._held = 0
        self._owner: tuple[int, int] | None = None

    def __del__(self) -> None:
        for end in (self._read, self._write):
            with contextlib.suppress(OSError):
                os.close(end)

    @property
    def handle(self) -> int:
        return self._read

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """As the original: None waits for ever, and a negative time not at all."""
        if self.kind == RECURSIVE and self._is_mine():
            self._held += 1
            return True
        deadline = None if timeout is None else time.monotonic() + max(0.0, timeout)
        while not self._take():
            left = None if deadline is None else deadline - time.monotonic()
            if not block or (left is not None and left <= 0):
                return False
            select.select([self._read], [], [], left)
        self._held += 1
        self._owner = _me()
        return True

    def release(self) -> None:
        if self.kind == RECURSIVE:
            if not self._is_mine():
                raise AssertionError("attempt to release recursive lock not owned by thread")
            if self._held > 1:
                self._held -= 1
                return
        elif self._get_value() >= self.maxvalue:
            raise ValueError("semaphore or lock released too many times")
        self._held -= 1
        if self.kind == RECURSIVE:
            self._owner = None
        os.write(self._write, b"x")

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    def _take(self) -> bool:
        try:
            return bool(os.read(self._read, 1))
        except BlockingIOError:
            return False

    def _count(self) -> int:
        return self._held

    def _is_mine(self) -> bool:
        return self._held > 0 and self._owner == _me()

    def _get_value(self) -> int:
        """How many bytes the pipe holds."""
        held = bytearray(4)
        fcntl.ioctl(self._read, termios.FIONREAD, held)
        return int.from_bytes(held, "little")

    def _is_zero(self) -> bool:
        return self._get_value() == 0

    def _after_fork(self) -> None:
        self._held = 0


def _me() -> tuple[int, int]:
    return os.getpid(), threading.get_ident()


def replace_semaphores() -> None:
    """In a zygote: for all its runs, in `multiprocessing` and what stands on it."""
    from multiprocessing import heap

    system: Any = import_module("_multiprocessing")
    system.SemLock, system.sem_unlink = PipeSemaphore, lambda name: None
    heap.Arena._dir_candidates = []  # type: ignore[attr-defined]  # shared values lie in the run's folder
