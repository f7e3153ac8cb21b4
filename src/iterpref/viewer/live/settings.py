"""What one viewer shows, and to whom."""

from dataclasses import dataclass, field
from pathlib import Path

from iterpref.errors import StoreError
from iterpref.listening import check_reach
from iterpref.store import Store

_BUSY_S = 2.0  # a page says that the run is locked, sooner than its reader leaves


@dataclass(frozen=True)
class ViewSettings:
    """
    Args:
        run: The run folder.
        beside: Further runs, whose models and tasks can be compared with those of `run`.
        tokenizers: Folders or hub ids that the token overlay offers beside those of the run.
        host, port: Where the viewer listens; port 0 takes a free one.
        token: What requests must carry; needed where other machines can reach the host.

    Raises:
        ConfigError: Another host than this machine's own without a token.
        StoreError: One of the runs can't be read.
    """

    run: Path
    beside: tuple[Path, ...] = ()
    tokenizers: tuple[str, ...] = ()
    host: str = "127.0.0.1"
    port: int = 8081
    token: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_reach(self.host, self.token)
        for place in range(len(self.beside) + 1):
            self.open(place).close()

    def open(self, place: int = 0) -> Store:
        """A run for reading: `run` itself, or one of `beside`, from 1. Opened for each page, so that a page shows what
        lies there now, whoever writes or replaces it.

        Raises:
            StoreError: It is missing, newer, locked or half written.
        """
        runs = (self.run, *self.beside)
        if not 0 <= place < len(runs):
            raise StoreError(f"run {place}: this viewer was given {len(runs)}; open it with --beside RUN")
        return Store.open(runs[place], write=False, busy_s=_BUSY_S)

    def names(self) -> list[str]:
        """Of the runs, as people call them."""
        return [path.resolve().name for path in (self.run, *self.beside)]
