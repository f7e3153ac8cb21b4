"""One run folder ⇄ records: `Store` (run.py) on rows (rows.py) of a SQLite database (database.py)."""

from .calls import ClientCosts
from .database import SCHEMA_VERSION
from .line_index import LineIndex
from .rows import LONG_TEXT
from .run import Store

__all__ = ["LONG_TEXT", "SCHEMA_VERSION", "ClientCosts", "LineIndex", "Store"]
