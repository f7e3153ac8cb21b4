"""One run folder ⇄ records: `Store` (store.py) on rows (tables.py) of a SQLite database (database.py), and the marks of
people who reviewed its pairs (reviews.py)."""

from .calls import ClientCosts
from .counts import FinishedTask
from .database import SCHEMA_VERSION, cannot_read
from .line_index import LineIndex
from .listings import PAGE, UNDER_WAY, UNTRIED, PairFilter, TaskFilter, TrajectoryLine
from .overview import OriginCounts
from .reviews import add_mark, add_marks, read_marks
from .store import Store
from .tables import LONG_TEXT

__all__ = ["LONG_TEXT", "PAGE", "SCHEMA_VERSION", "UNDER_WAY", "UNTRIED", "ClientCosts", "FinishedTask", "LineIndex",
           "OriginCounts", "PairFilter", "Store", "TaskFilter", "TrajectoryLine", "add_mark", "add_marks",
           "cannot_read", "read_marks"]  # fmt: skip
