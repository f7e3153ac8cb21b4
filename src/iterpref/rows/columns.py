"""Which column of a source holds what: our names for the parts of a task or a pair, and the source's."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from iterpref.errors import RecordError

from .row import SourceRow


class Columns:
    """Our name → the source's column; the same name where nothing else was said."""

    def __init__(self, known: Sequence[str], given: Mapping[str, str]) -> None:
        self._names = {name: given.get(name, name) for name in known}

    def __getitem__(self, name: str) -> str:
        return self._names[name]

    def value(self, row: SourceRow, name: str) -> Any:
        """What the row has; None where it has no such column."""
        return row.values.get(self._names[name])

    def text(self, row: SourceRow, name: str) -> str:
        """A text or number as text; "" when absent. Anything else raises RecordError."""
        value = self.value(row, name)
        if value is None or isinstance(value, str | int):
            return "" if value is None else str(value)
        raise RecordError(f"{row.where}: {self._names[name]} is {type(value).__name__}; expected text")


def source_name(source: str | Path) -> str:
    """A source as messages and records name it: a file or folder without the folders it lies in."""
    return Path(source).name if Path(source).exists() else str(source)
