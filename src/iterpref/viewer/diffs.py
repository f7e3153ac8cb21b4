"""Two versions of a program → lines to show, beneath each other or side by side; they differ as pairing sees it.

Of a changed line that has a counterpart, the words that differ are marked. Long programs are compared as far as a page
shows them.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate, islice, takewhile

from iterpref.line_diff import changed_lines, differing_words
from iterpref.records import Span

from .texts import DiffLine, Sign, lines_of

_AROUND = 3  # equal lines that stay beside changed ones
_MOST_COMPARED = 20_000  # characters of both texts together, word by word
_MOST_MARKED = 0.5  # of a line: where most of it differs, it is another line, and marks would be noise
Marks = tuple[tuple[int, int], ...]


def beneath(before: str, after: str) -> list[DiffLine]:
    """One list: what went, what came, and a few equal lines around; [] for equal texts."""
    if before == after:
        return []
    first, second = beside(before, after)
    return list(_folded(list(_merged(first, second))))


def beside(before: str, after: str) -> tuple[list[DiffLine], list[DiffLine]]:
    """Both texts whole, each with its changed lines signed."""
    (first, first_cut), (second, second_cut) = lines_of(before), lines_of(after)
    changed = changed_lines(first, second)
    removed, added = _spans(first, changed.removed), _spans(second, changed.added)
    sides = sides_of("\n".join(first), "\n".join(second), removed, added)
    return [*sides[0], *first_cut], [*sides[1], *second_cut]


def sides_of(
    rejected: str, chosen: str, removed: Sequence[Span], added: Sequence[Span]
) -> tuple[list[DiffLine], list[DiffLine]]:
    """The two sides of a pair, whose differing lines are known, as disjoint spans in order."""
    words: tuple[Sequence[Span], Sequence[Span]] = (), ()
    if len(rejected) + len(chosen) <= _MOST_COMPARED:
        own, other = _inside(rejected, removed), _inside(chosen, added)
        words = differing_words(rejected, chosen, own, other), differing_words(chosen, rejected, other, own)
    return signed(rejected, removed, "−", words[0]), signed(chosen, added, "+", words[1])


def signed(text: str, spans: Sequence[Span], sign: Sign, words: Sequence[Span] = ()) -> list[DiffLine]:
    """The lines of a text; one that a span covers any of has the sign, also where it covers just its newline.

    `words`: spans of what differs within such lines.
    """
    lines, cut = lines_of(text)
    found, start = [], 0
    changed, within = _Reader(spans), _Reader(words)
    for line in lines:
        stop = start + len(line) + 1
        is_changed = bool(changed.overlapping(start, stop))
        marks = _marks(line, start, within.overlapping(start, stop)) if is_changed else ()
        found.append(DiffLine(sign if is_changed else "", line, marks))
        start = stop
    return [*found, *cut]


class _Reader:
    """Disjoint spans in order, read along a text."""

    def __init__(self, spans: Sequence[Span]) -> None:
        self._spans = sorted(spans, key=lambda span: span.start)
        self._at = 0

    def overlapping(self, start: int, stop: int) -> list[Span]:
        """Those that share a character with [start, stop); each call begins where the one before ended, or later."""
        while self._at < len(self._spans) and self._spans[self._at].stop <= start:
            self._at += 1
        return list(takewhile(lambda span: span.start < stop, islice(self._spans, self._at, None)))


def _marks(line: str, start: int, words: Sequence[Span]) -> Marks:
    """The words as ranges of the line; those with nothing but spaces between them as one, none where they are most
    of it."""
    found: list[tuple[int, int]] = []
    for word in words:
        begin, end = max(0, word.start - start), min(len(line), word.stop - start)
        if found and not line[found[-1][1] : begin].strip():
            found[-1] = (found[-1][0], end)
        elif begin < end:
            found.append((begin, end))
    covered = sum(len(line[begin:end].strip()) for begin, end in found)
    return tuple(found) if covered <= _MOST_MARKED * len(line.strip()) else ()


def _spans(lines: Sequence[str], which: Sequence[int]) -> list[Span]:
    """The characters of these lines, each with a newline, as if the last one had one, too: it may be empty."""
    starts = [0, *accumulate(len(line) + 1 for line in lines)]
    return [Span(start=starts[at], stop=starts[at + 1]) for at in which]


def _inside(text: str, spans: Sequence[Span]) -> list[Span]:
    return [Span(start=span.start, stop=min(span.stop, len(text))) for span in spans]


def _merged(first: Sequence[DiffLine], second: Sequence[DiffLine]) -> Iterator[DiffLine]:
    """Both sides as one list: runs of lines that went before the runs that came in their place."""
    came = iter(second)
    for line in first:
        if line.sign == "":
            yield from takewhile(lambda other: other.sign == "+", came)  # and takes the equal line from `came`
        yield line
    yield from came


def _folded(lines: list[DiffLine]) -> Iterator[DiffLine]:
    near = {at + step for at, line in enumerate(lines) if line.sign for step in range(-_AROUND, _AROUND + 1)}
    left = 0
    for at, line in enumerate(lines):
        if at in near:
            if left:
                yield _equal(left)
            left = 0
            yield line
        else:
            left += 1
    if left:
        yield _equal(left)


def _equal(lines: int) -> DiffLine:
    return DiffLine("…", f"{lines} equal {'line' if lines == 1 else 'lines'}")
