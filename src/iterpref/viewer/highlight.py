"""A pair's text and its focal spans → lines to show, each marked as changed or not."""

from collections.abc import Sequence
from dataclasses import dataclass

from iterpref.records import Span


@dataclass(frozen=True)
class Line:
    """One line without its newline; `focal` when a span covers any of it."""

    text: str
    focal: bool


def highlighted(text: str, spans: Sequence[Span]) -> list[Line]:
    """The lines of `text`, split at newlines only; a span that holds just a line's newline marks the line, too."""
    lines: list[Line] = []
    start = 0
    for part in text.split("\n"):
        stop = start + len(part) + 1
        lines.append(Line(part, any(span.start < stop and span.stop > start for span in spans)))
        start = stop
    return lines
