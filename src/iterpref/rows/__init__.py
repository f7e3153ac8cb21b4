"""Files and data sets of JSON objects → rows, each with the place it came from; and rows → tasks.

In: JSONL, gzipped or not, one JSON array, Parquet, a folder of these, a data set that `datasets` saved, or one on the
hub. Out: `SourceRow`s, streamed (but for an array, and the hub, which downloads first). With `RefusedRows` a row that
can't be used does not stop the others: all are raised together at the end.
"""

from iterpref.rows.columns import Columns, source_name
from iterpref.rows.files import count_lines, read_rows
from iterpref.rows.row import BrokenRow, RefusedRows, SourceRow, UnreadableSource, explain
from iterpref.rows.sources import hub_rows, is_hub_id, source_rows
from iterpref.rows.tasks import TASK_COLUMNS, MappedTasks, python_style, schema_task, task_columns, task_prompt

__all__ = [
    "TASK_COLUMNS",
    "BrokenRow",
    "Columns",
    "MappedTasks",
    "RefusedRows",
    "SourceRow",
    "UnreadableSource",
    "count_lines",
    "explain",
    "hub_rows",
    "is_hub_id",
    "python_style",
    "read_rows",
    "schema_task",
    "source_name",
    "source_rows",
    "task_columns",
    "task_prompt",
]
