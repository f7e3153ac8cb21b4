"""What every kind of client says of itself: how it is opened, what it costs, how much to ask it at a time.

A kind is a subclass of `ClientConfig`, in a file or folder of its own, and has its line in registry.py. The file stays
light: what is heavy is imported when the client is opened.
"""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from pathlib import Path

from iterpref.clients.base import Client
from iterpref.clients.budget import Price
from iterpref.section import Section


class ClientConfig(Section, ABC):
    """Where completions come from."""

    kind: str
    model: str = "playground"
    """What answers."""

    @property
    @abstractmethod
    def at_a_time(self) -> int | None:
        """Requests to ask together, so that the client is never idle; None: all there are, as one wave."""

    @abstractmethod
    def price(self) -> Price | None:
        """What calls cost; None says that they cost nothing, and no budget counts them."""

    @abstractmethod
    def open(self, folder: Path) -> AbstractContextManager[Client]:
        """The client, while the context lasts.

        Args:
            folder: Of the run: logs and notes go there.

        Raises:
            ClientError: It can't be opened.
        """
