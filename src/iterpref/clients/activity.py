"""What a client is doing, told while a stage waits: a model in this process takes long and says nothing itself."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from iterpref.clients.base import Client

EVERY_S = 2.0


@dataclass(frozen=True)
class Activity:
    """Requests answered, of all that were made so far, and a few words."""

    done: int
    total: int
    note: str


@runtime_checkable
class Busy(Protocol):
    """A client that can say what it is doing; asked from another thread."""

    def activity(self) -> Activity | None:
        """None: nothing."""


@contextmanager
def told(client: Client, tell: Callable[[Activity], None], every_s: float | None = None) -> Iterator[None]:
    """While the context lasts, `tell` every two seconds what the client does; called in a thread of its own."""
    if not isinstance(client, Busy):
        yield
        return
    over = threading.Event()

    def watch() -> None:
        while not over.wait(EVERY_S if every_s is None else every_s):
            if doing := client.activity():
                tell(doing)

    watcher = threading.Thread(target=watch, name="client-activity", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
