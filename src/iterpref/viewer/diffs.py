"""Two versions of a program → lines to show, beneath each other or side by side; they differ as pairing sees it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from iterpref.line_diff import changed_lines

Sign = Literal["−", "+", "", "…"]
_AROUND = 3  # equal lines that stay beside changed ones


@dataclass(frozen=True)
class DiffLine:
    """A line and its sign; of `…` the text says how many equal lines are left out."""

    sign: Sign
    text: str


def beneath(before: str, after: str) -> list[DiffLine]:
    """One list: what went, what came, and a few equal lines around; [] for equal texts."""
    if before == after:
        return []
    return list(_folded(list(_merged(before.split("\n"), after.split("\n")))))


def beside(before: str, after: str) -> tuple[list[DiffLine], list[DiffLine]]:
    """Both texts whole, each with its changed lines signed."""
    first, second = before.split("\n"), after.split("\n")
    changed = changed_lines(first, second)
    removed, added = set(changed.removed), set(changed.added)
    return (
        [DiffLine("−" if at in removed else "", line) for at, line in enumerate(first)],
        [DiffLine("+" if at in added else "", line) for at, line in enumerate(second)],
    )


def _merged(first: list[str], second: list[str]) -> Iterator[DiffLine]:
    changed = changed_lines(first, second)
    removed, added = set(changed.removed), set(changed.added)
    at = 0
    for number, line in enumerate(first):
        if number in removed:
            yield DiffLine("−", line)
            continue
        while at in added:
            yield DiffLine("+", second[at])
            at += 1
        yield DiffLine("", line)
        at += 1
    for line in second[at:]:
        yield DiffLine("+", line)


def _folded(lines: list[DiffLine]) -> Iterator[DiffLine]:
    near = {at + step for at, line in enumerate(lines) if line.sign for step in range(-_AROUND, _AROUND + 1)}
    left = 0
    for at, line in enumerate(lines):
        if at in near:
            if left:
                yield DiffLine("…", f"{left} equal {'line' if left == 1 else 'lines'}")
            left = 0
            yield line
        else:
            left += 1
    if left:
        yield DiffLine("…", f"{left} equal {'line' if left == 1 else 'lines'}")
