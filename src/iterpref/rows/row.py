"""One object of a file or data set with the place it came from, and what is said of rows that can't be used."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from iterpref.errors import IterPrefError, RecordError


class UnreadableSource(RecordError):
    """A file or data set that can't be read at all; `reason` is the system's word."""

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class BrokenRow(RecordError):
    """A line that is no JSON object: its number, what is wrong, and its value where it is JSON of another kind; of a
    line that is no UTF-8, the offset in the file of the first `byte` that is none."""

    byte: int | None = None

    def __init__(self, where: str, number: int, reason: str, message: str, value: Any = None) -> None:
        super().__init__(f"{where}:{number}: {message}")
        self.number, self.reason, self.value = number, reason, value


class SourceRow(NamedTuple):
    source: str
    number: int
    values: dict[str, Any]

    @property
    def where(self) -> str:
        """`runs.jsonl:3`."""
        return f"{self.source}:{self.number}"


@dataclass
class RefusedRows:
    """Rows that can't be used: counted, the first few kept word for word."""

    source: str
    count: int = 0
    shown: list[str] = field(default_factory=list)

    def add(self, error: IterPrefError) -> None:
        self.count += 1
        if len(self.shown) < 5:
            self.shown.append(str(error))

    def check(self, kept: str) -> None:
        """Raise a RecordError of the first few refused rows, if any; `kept` says what was imported nevertheless."""
        if self.count == 1:
            raise RecordError(f"{self.shown[0]}\nThe other rows are imported ({kept}); fix this one and import again.")
        if self.count:
            more = [f"… and {self.count - len(self.shown)} more"] if self.count > len(self.shown) else []
            rows = "\n  ".join([f"{self.source}: {self.count} rows can't be used:", *self.shown, *more])
            raise RecordError(f"{rows}\nThe other rows are imported ({kept}); fix these and import again.")


def numbered(source: str, rows: Iterable[Mapping[str, Any]]) -> Iterator[SourceRow]:
    return (SourceRow(source, number, dict(values)) for number, values in enumerate(rows, start=1))


def kind_in_words(value: object) -> str:
    names = {list: "a list", str: "a text", bool: "a truth value", int: "a number", float: "a number"}
    return names.get(type(value), "null" if value is None else type(value).__name__)
