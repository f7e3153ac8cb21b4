"""Where two outputs part: bounded, linear, and by the same rule about blanks as the verdict. Whole texts: feedback/."""

import pytest

from iterpref.sandbox.grading.output_difference import beginning, difference, lines_compared


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", []),
        (" \n\n", []),
        ("a", ["a"]),
        ("a  \r\nb\t\n\n \n", ["a", "b"]),
        ("\n a\n\nb", ["", " a", "", "b"]),
    ],
)
def test_blanks_at_line_ends_and_at_the_end_do_not_count(text: str, lines: list[str]) -> None:
    assert lines_compared(text) == lines


def told(got: str, expected: str) -> list[str]:
    return difference(lines_compared(got), lines_compared(expected)).split("\n")


@pytest.mark.parametrize(
    ("got", "expected", "first"),
    [
        ("a\nx\nc", "a\nb\nc", "Line 2 of the output is wrong (3 lines printed, 3 expected; - expected, + printed):"),
        ("a", "a\nb", "The output ends too early, after line 1 (1 line printed, 2 expected; - expected, + printed):"),
        ("a\nb", "a", "The output should end after line 1 (2 lines printed, 1 expected; - expected, + printed):"),
        ("", "a", "The program printed nothing (1 line expected; - expected, + printed):"),
        ("a", "", "The program should print nothing (1 line printed; - expected, + printed):"),
    ],
)
def test_first_line(got: str, expected: str, first: str) -> None:
    assert told(got, expected)[0] == first


@pytest.mark.parametrize(
    ("got", "expected", "hint"),
    [
        ("1 2\n3", "1\n2 3", "; only blanks and line breaks differ:"),
        ("Yes", "YES", "; only upper and lower case differ:"),
        ("b\na", "a\nb", "; the same lines are expected in another order:"),
        ("b\na\na", "a\nb\nb", "printed):"),
    ],
)
def test_kinds_of_differences(got: str, expected: str, hint: str) -> None:
    assert told(got, expected)[0].endswith(hint)


def test_equal_lines_around_the_difference_are_left_out_but_one() -> None:
    lines = [str(n) for n in range(9)]
    assert told("\n".join(lines[:4] + lines[5:]), "\n".join(lines))[1:] == ["  3", "- 4", "  5"]
    assert told("\n".join([*lines[:4], "x", *lines[4:]]), "\n".join(lines))[1:] == ["  3", "+ x", "  4"]


def test_repeated_lines_are_counted_once() -> None:
    """The common end must not reach into the common beginning."""
    assert told("a\na\na", "a\na")[1:] == ["  a", "+ a"]
    assert told("a", "a\na\na")[1:] == ["  a", "- a", "- a"]


def test_a_long_line_is_shown_around_its_first_wrong_character() -> None:
    text = told("x" * 5000 + "b" + "y" * 500, "x" * 5000 + "a" + "y" * 500)
    assert "from character 5001 on" in text[0]
    assert text[1:] == ["- ..." + "x" * 30 + "a" + "y" * 69 + "...", "+ ..." + "x" * 30 + "b" + "y" * 69 + "..."]


def test_characters_that_do_not_print_are_written_out() -> None:
    assert told("a\tb\x1b[0m", "a b")[1:] == ["- a b", "+ a\\tb\\x1b[0m"]


def test_a_million_lines() -> None:
    """Where nothing is equal in place, an edit script would never come to an end."""
    got = [str(n) for n in range(1_000_000)]
    text = difference(got, got[::-1])
    assert len(text) < 300
    assert text.split("\n")[-1] == "+ ... 999997 more"


def test_bounds() -> None:
    text = difference(["b" * 999] * 99, ["a" * 999] * 99)
    assert len(text) < 1000
    assert len(beginning("Input", "line of some length\n" * 999)) < 200
    assert len(beginning("Input", "x" * 10**6)) < 200
