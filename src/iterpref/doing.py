"""What this process does where no step can count: a few words, for whoever shows progress (progress.py).

    with doing("loading torch"):
        import torch

Told by any thread, shown by one; without a reader it costs nothing.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_LOCK = threading.Lock()
_BEGUN: list[str] = []


@contextmanager
def doing(what: str) -> Iterator[None]:
    """Say what is done while the context lasts."""
    with _LOCK:
        _BEGUN.append(what)
    try:
        yield
    finally:
        with _LOCK:
            _BEGUN.remove(what)


def doing_now() -> str:
    """What was begun last and has not ended; "" if nothing is said."""
    with _LOCK:
        return _BEGUN[-1] if _BEGUN else ""
