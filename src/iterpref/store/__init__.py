"""One run folder ⇄ records: `Store` (store.py) on rows (tables.py) of a SQLite database (database.py)."""

from .calls import ClientCosts
from .database import SCHEMA_VERSION
from .line_index import LineIndex
from .store import Store
from .tables import LONG_TEXT

__all__ = ["LONG_TEXT", "SCHEMA_VERSION", "ClientCosts", "LineIndex", "Store"]
