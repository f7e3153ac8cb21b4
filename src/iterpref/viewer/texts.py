"""Lines and texts of models and programs → HTML, and how much of it fits into a page.

Characters that a browser would obey are spelled out by `visible.shown`; the rest that HTML would read is escaped.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from markupsafe import Markup, escape

from iterpref.visible import MOST_SHOWN, shown

Sign = Literal["−", "+", "", "…"]
MOST_LINES = 4_000  # of one program
_LONGEST_WORD, _SHORTEST = 1_000, 20  # characters of a name; of one on a page that is full
_LINE_BYTES = 80  # of the tags around a line of code


@dataclass(frozen=True)
class DiffLine:
    """A line and its sign; of `…` the text says how many equal lines are left out. `marks`: [start, stop) of the
    characters that differ, where only a part of the line does."""

    sign: Sign
    text: str
    marks: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class ShownLine:
    """A line as HTML: its pieces, and whether each differs; `left` characters of it are left out."""

    sign: Sign
    pieces: tuple[tuple[Markup, bool], ...]
    left: int


@dataclass
class TextRoom:
    """How much of texts a page shows: so many characters and lines of each, and so many bytes in all.

    `left_out` counts the texts that were cut, for the page to say so; with `page` None it isn't kept.
    """

    most: int = MOST_SHOWN
    lines: int = MOST_LINES
    page: int | None = None
    left_out: int = field(default=0, init=False)

    def text(self, text: str) -> tuple[Markup, int]:
        """The beginning of a text as HTML, and how many characters are left out."""
        made = escape(shown(text[: self.most]))
        if not self._take(made):
            made, left = Markup(), len(text)
        else:
            left = max(0, len(text) - self.most)
        self._count(left)
        return made, left

    def code(self, lines: Sequence[DiffLine]) -> tuple[list[ShownLine], int]:
        """The first lines, and how many are left out."""
        made: list[ShownLine] = []
        characters = 0
        for line in lines[: self.lines]:
            one = _shown_line(line, max(1, self.most - characters))
            if characters >= self.most or not self._take(*(piece for piece, _ in one.pieces), more=_LINE_BYTES):
                break
            made.append(one)
            characters += len(line.text) + 1
        left = len(lines) - len(made)
        self._count(left + sum(line.left for line in made))
        return made, left

    def word(self, text: str) -> Markup:
        """A name, an id, a cell of a table, cut where it is long."""
        made, left = escape(shown(text[:_LONGEST_WORD])), len(text) > _LONGEST_WORD
        if not self._take(made):
            made, left = escape(shown(text[:_SHORTEST])), len(text) > _SHORTEST
        self._count(left)
        return made + "…" if left else made

    def _take(self, *parts: Markup, more: int = 0) -> bool:
        """Whether these fit into the page; if so, they have their place."""
        if self.page is None:
            return True
        size = more + sum(len(part.encode("utf-8", "backslashreplace")) for part in parts)
        if size > self.page:
            return False
        self.page -= size
        return True

    def _count(self, left: int) -> None:
        if self.page is not None and left:
            self.left_out += 1


def short_id(name: str) -> str:
    """An id with the middle of its long hashes left out, to be read in a table."""
    return shown(name if len(name) <= 44 else f"{name[:26]}…{name[-16:]}")


def lines_of(text: str) -> tuple[list[str], list[DiffLine]]:
    """The lines of a program, at newlines only, as far as any page shows them; and a line that says what was cut."""
    lines = text[:MOST_SHOWN].split("\n")[:MOST_LINES]
    left = len(text) - len("\n".join(lines))
    return lines, [DiffLine("…", f"{left:,} more characters")] if left else []


def plain_lines(text: str) -> list[DiffLine]:
    """The lines of a program that is compared with nothing."""
    lines, cut = lines_of(text)
    return [*(DiffLine("", line) for line in lines), *cut]


def _shown_line(line: DiffLine, most: int) -> ShownLine:
    text = line.text[:most]
    pieces = tuple((escape(shown(text[start:stop])), marked) for start, stop, marked in _pieces(line.marks, len(text)))
    return ShownLine(line.sign, pieces, len(line.text) - len(text))


def _pieces(marks: Iterable[tuple[int, int]], stop: int) -> Iterator[tuple[int, int, bool]]:
    """The ranges between and within marks that come before `stop`."""
    at = 0
    for start, end in marks:
        start, end = min(start, stop), min(end, stop)
        if at < start:
            yield at, start, False
        if start < end:
            yield start, end, True
        at = max(at, end)
    if at < stop:
        yield at, stop, False
