"""Two outputs of a program → where they part, in a few lines that a model or a person can read, such as

    Line 2 of the output is wrong (3 lines printed, 3 expected; - expected, + printed):
      10
    - 20
    + 21
      30
    Input:
      3
      10 20 30

Equal lines at the start and the end are left out but for one beside the difference. Time is linear in the length of the
outputs; so it is no edit script: lines that moved show as removed and added. Not here: the verdict (script.py).
"""

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from itertools import islice
from typing import Literal

_WIDTH = 100  # characters of a line
_SHOWN = 3  # lines of each side
_BEFORE = 30  # characters of a long line before its first wrong one


def outputs_compared(printed: str, expected: str, match: Literal["lines", "numbers"]) -> tuple[list[str], list[str]]:
    """The lines of both as they count; the output is right where the two lists are equal.

    `lines`: blanks at line ends, and empty lines at the end, don't count. `numbers`: neither do blanks and empty lines
    before them; and a line that holds the same numbers as the expected one, however written, counts as that one.
    """
    if match == "lines":
        return lines_compared(printed), lines_compared(expected)
    got, wanted = ([line.strip() for line in text.strip().split("\n")] for text in (printed, expected))
    if len(got) == len(wanted):
        got = [right if line != right and _same_numbers(line, right) else line
               for line, right in zip(got, wanted, strict=True)]  # fmt: skip
    return got, wanted


def lines_compared(text: str) -> list[str]:
    """The lines as `lines` compares them."""
    kept = text.rstrip()
    return [line.rstrip() for line in kept.split("\n")] if kept else []


def _same_numbers(left: str, right: str) -> bool:
    """Whether two lines are as many decimal numbers of equal value; exact, since a float would round large integers."""
    try:
        return [Decimal(part) for part in left.split()] == [Decimal(part) for part in right.split()]
    except InvalidOperation:  # a word, or a signalling NaN
        return False


def difference(got: list[str], expected: list[str]) -> str:
    """Say where the printed lines part from the expected ones; the two lists are not equal."""
    start = common(got, expected)
    end = common(reversed(got), reversed(expected), min(len(got), len(expected)) - start)
    missing, extra = expected[start : len(expected) - end], got[start : len(got) - end]
    what, column = _headline(got, expected, start), 0
    if missing and extra and max(len(missing[0]), len(extra[0])) > _WIDTH:
        column = common(missing[0], extra[0])
        what += f" from character {column + 1} on"
    counts = f"{_count(len(got))} printed, {len(expected)} expected"
    if not (got and expected):
        counts = f"{_count(len(expected))} expected" if expected else f"{_count(len(got))} printed"
    lines = [f"{what} ({counts}; - expected, + printed){_hint(got, expected)}:"]
    lines += [f"  {_cut(line)}" for line in expected[max(0, start - 1) : start]]
    lines += _side("-", missing, column) + _side("+", extra, column)
    lines += [f"  {_cut(line)}" for line in expected[len(expected) - end :][:1]]
    return "\n".join(lines)


def beginning(title: str, text: str, most: int = 5, counted: bool = True) -> str:
    """`most` lines of a text under a title, and how many more there are, if that says anything."""
    text = text.rstrip()
    if not text:
        return f"{title}: none"
    more = text.count("\n") + 1 - most
    shown = [f"  {_cut(line.rstrip())}" for line in text.split("\n", most)[:most]]
    return "\n".join([f"{title}:", *shown, *([f"  ... {more} more" if counted else "  ..."] if more > 0 else [])])


def _headline(got: list[str], expected: list[str], start: int) -> str:
    if not got:
        return "The program printed nothing"
    if not expected:
        return "The program should print nothing"
    if start == len(got):
        return f"The output ends too early, after line {start}"
    if start == len(expected):
        return f"The output should end after line {start}"
    return f"Line {start + 1} of the output is wrong"


def _hint(got: list[str], expected: list[str]) -> str:
    """What kind of a difference it is, where that can be said in a few words."""
    left, right = "\n".join(got), "\n".join(expected)
    if left.split() == right.split():
        return "; only blanks and line breaks differ"
    if left.casefold() == right.casefold():
        return "; only upper and lower case differ"
    if len(got) == len(expected) and Counter(got) == Counter(expected):
        return "; the same lines are expected in another order"
    return ""


def _side(sign: str, lines: list[str], column: int) -> list[str]:
    shown = [f"{sign} {_cut(line, column if n == 0 else 0)}".rstrip() for n, line in enumerate(lines[:_SHOWN])]
    more = len(lines) - _SHOWN
    return [*shown, f"{sign} ... {more} more"] if more > 0 else shown


def _cut(line: str, column: int = 0) -> str:
    """A line on one line of its own: a window around `column` if it is long, characters that don't print escaped."""
    start = max(0, column - _BEFORE) if len(line) > _WIDTH else 0
    part = line[start : start + _WIDTH]
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in part)
    return f"{'...' if start else ''}{text}{'...' if start + _WIDTH < len(line) else ''}"


def common(left: Iterable[object], right: Iterable[object], most: int | None = None) -> int:
    """How many items are equal at the start of both, at most `most`."""
    count = 0
    for one, other in islice(zip(left, right, strict=False), most):
        if one != other:
            break
        count += 1
    return count


def _count(lines: int) -> str:
    return "1 line" if lines == 1 else f"{lines} lines"
