"""Ctrl-C in a step → one line that says what is kept."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from iterpref.errors import StoppedError

if TYPE_CHECKING:
    from iterpref.store import Store


@contextmanager
def stoppable(store: "Store | None" = None) -> Iterator[None]:
    """Name what was stored meanwhile when the user stops what is done in this context.

    Raises:
        StoppedError: The user did.
    """
    before = store.count("calls") if store else 0
    try:
        yield
    except KeyboardInterrupt:
        calls = store.count("calls") - before if store else 0
        kept = f"{calls} call{'s' * (calls != 1)} kept" if calls else "what was finished is kept"
        raise StoppedError(f"stopped; {kept}; run the same command again to go on") from None
