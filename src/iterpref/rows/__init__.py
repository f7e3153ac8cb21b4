"""Files and data sets of JSON objects → rows, each with the place it came from; and rows → tasks.

In: JSONL, JSON (an array or objects), CSV, TSV, each packed or not, Parquet; a folder of these, a data set that
`datasets` saved, or one on the hub. Out: `SourceRow`s, streamed (but for JSON over many lines, and the hub, which
downloads first). With `RefusedRows` a row that can't be used does not stop the others: all are raised together
at the end.
"""

from iterpref.rows.columns import Columns, source_name
from iterpref.rows.explain import did_you_mean, explain
from iterpref.rows.files import count_lines, read_rows
from iterpref.rows.row import BrokenRow, RefusedRows, SourceRow, UnreadableSource, kind_in_words
from iterpref.rows.sources import DEFAULT_PART, DatasetPart, hub_rows, is_hub_id, source_rows
from iterpref.rows.tasks import (
    TASK_COLUMNS,
    MappedTasks,
    in_schema,
    python_style,
    schema_task,
    task_columns,
    task_prompt,
)

__all__ = [
    "DEFAULT_PART",
    "TASK_COLUMNS",
    "BrokenRow",
    "Columns",
    "DatasetPart",
    "MappedTasks",
    "RefusedRows",
    "SourceRow",
    "UnreadableSource",
    "count_lines",
    "did_you_mean",
    "explain",
    "hub_rows",
    "in_schema",
    "is_hub_id",
    "kind_in_words",
    "python_style",
    "read_rows",
    "schema_task",
    "source_name",
    "source_rows",
    "task_columns",
    "task_prompt",
]
