import random

import pytest
from rapidfuzz.distance import LCSseq

from iterpref.line_diff import changed_lines, middle_lines


@pytest.mark.parametrize(
    ("before", "after", "removed", "added"),
    [
        pytest.param("a b c", "a x c", (1,), (1,), id="replaced line"),
        pytest.param("a c", "a b c", (), (1,), id="insertion only: nothing to penalise"),
        pytest.param("a b c", "a c", (1,), (), id="deletion only"),
        pytest.param("a b", "a b", (), (), id="equal"),
        pytest.param("", "a", (), (0,), id="from nothing"),
        pytest.param("a b", "c d", (0, 1), (0, 1), id="nothing in common"),
        pytest.param("a a", "a", (1,), (), id="tie: the earliest stays"),
        pytest.param("a", "a a", (), (1,), id="tie in the second text"),
        pytest.param("x a y a", "a", (0, 2, 3), (), id="tie far apart"),
        pytest.param("a b c a b", "a b", (2, 3, 4), (), id="tie of a run"),
        pytest.param("if x return y", "return y if x", (2, 3), (0, 1), id="moved block is an edit"),
    ],
)
def test_golden(before: str, after: str, removed: tuple[int, ...], added: tuple[int, ...]) -> None:
    assert changed_lines(before.split(), after.split()) == (removed, added)


def test_difflib_would_find_less() -> None:
    """The classic case where difflib's matches are shorter than the LCS."""
    before, after = list("abxcd"), list("cdabxzcd")
    changed = changed_lines(before, after)
    assert len(before) - len(changed.removed) == LCSseq.similarity(before, after) == 5


def test_random_edits_leave_an_lcs() -> None:
    """What is left on both sides is the same sequence, and no common subsequence is longer (own dynamic program)."""
    rng = random.Random(0)
    for _ in range(300):
        before = rng.choices("abcd", k=rng.randint(0, 12))
        after = rng.choices("abcd", k=rng.randint(0, 12))
        changed = changed_lines(before, after)
        left = [line for i, line in enumerate(before) if i not in changed.removed]
        assert left == [line for i, line in enumerate(after) if i not in changed.added]
        assert len(left) == longest_common(before, after)


def longest_common(first: list[str], second: list[str]) -> int:
    row = [0] * (len(second) + 1)
    for a in first:
        previous = row
        row = [0]
        for j, b in enumerate(second):
            row.append(previous[j] + 1 if a == b else max(previous[j + 1], row[j]))
    return row[-1]


@pytest.mark.parametrize(
    ("before", "after", "removed", "added"),
    [
        pytest.param("a b c", "a x c", (1,), (1,), id="replaced line"),
        pytest.param("a b c d e", "a x c y e", (1, 2, 3), (1, 2, 3), id="what lies between counts"),
        pytest.param("a c", "a b c", (), (1,), id="insertion only"),
        pytest.param("a a", "a", (1,), (), id="beginning and end don't overlap"),
        pytest.param("a", "a a", (), (1,), id="nor in the second text"),
        pytest.param("a b", "a b", (), (), id="equal"),
        pytest.param("a b", "c d e", (0, 1), (0, 1, 2), id="nothing in common"),
        pytest.param("", "a", (), (0,), id="from nothing"),
    ],
)
def test_prefix_suffix(before: str, after: str, removed: tuple[int, ...], added: tuple[int, ...]) -> None:
    assert middle_lines(before.split(), after.split()) == (removed, added)
