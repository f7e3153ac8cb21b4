"""A row of a training set → a task with its tests, by the columns and forms that `iterpref import` reads, too."""

from collections.abc import Mapping
from typing import Any, Literal, cast, get_args

from iterpref.errors import RecordError
from iterpref.records import Limits, Style, Task
from iterpref.rows import TASK_COLUMNS, Columns, MappedTasks, SourceRow, task_columns

TESTS = ("tests", "test_list", "test", "test_cases")
"""Where tests are looked for, in this order; `columns` may name another."""


class RowTasks:
    """The tasks of one data set.

    Args:
        columns: Our name of a task's part (`tests`, `entry_point`, `prefix`, `test_setup`, `reference`) → the data
            set's.
        style: How tests are run; `auto` goes by the row's own `style` where it names one, else by what they define.
        limits: Of each run.
    """

    def __init__(self, columns: Mapping[str, str], style: Style | Literal["auto"], limits: Limits) -> None:
        task_columns(columns)  # refuses unknown parts
        self._columns, self._style, self._limits = dict(columns), style, limits

    @property
    def tests(self) -> str:
        """The column of tests, where a row is made for one."""
        return self._columns.get("tests", TESTS[0])

    def names_tests(self, row: Mapping[str, Any]) -> bool:
        """Whether a row has a column of tests."""
        return any(name in row for name in self._looked)

    @property
    def _looked(self) -> tuple[str, ...]:
        return (self._columns["tests"],) if "tests" in self._columns else TESTS

    def __call__(self, row: Mapping[str, Any], number: int) -> Task:
        """The task of a row; RecordError where it has no tests, or they can't be read."""
        row = {name: _plain(value) for name, value in row.items()}
        column = self._tests_column(row, number)
        columns = Columns(TASK_COLUMNS, {**self._columns, "tests": column})
        values = {name: value for name, value in row.items() if value is not None}
        values[columns["prompt"]] = "-"  # of no use here, and may be in any form
        own = row.get("style")
        style = cast(Style, own) if self._style == "auto" and own in get_args(Style) else self._style
        task = MappedTasks(columns, "row", style).task(SourceRow("row", number, values))
        return task.model_copy(update={"limits": self._limits})

    def _tests_column(self, row: Mapping[str, Any], number: int) -> str:
        looked = self._looked
        found = next((name for name in looked if row.get(name)), None)
        if found is None:
            here = ", ".join(sorted(name for name, value in row.items() if value is not None)) or "none"
            raise RecordError(
                f"row {number}: no tests: looked for the column {' or '.join(looked)}, got {here}; name the column of "
                'tests, CodeReward(columns={"tests": "..."})'
            )
        return found


def _plain(value: Any) -> Any:
    """Arrays, as a table's columns may hold, and tuples as lists."""
    value = value.tolist() if hasattr(value, "tolist") else value
    return list(value) if isinstance(value, tuple) else value
