"""Offsets + spans → focal tokens, with the expected values written out."""

import pytest

from iterpref.errors import SpanError
from iterpref.records import Span
from iterpref.training.masking import check_spans, contiguous, fence_spans, focal_mask, shift_spans


def spans(*pairs):
    return [Span(start=start, stop=stop) for start, stop in pairs]


@pytest.mark.parametrize(
    ("offsets", "focal", "fences", "expected"),
    [
        pytest.param([(0, 2), (2, 4), (4, 6)], [(2, 4)], [], [0, 1, 0], id="exact token"),
        pytest.param([(0, 3), (3, 6)], [(2, 4)], [], [1, 1], id="a token that crosses a line end counts"),
        pytest.param([(0, 2), (2, 4)], [(0, 2)], [], [1, 0], id="touching is not overlapping"),
        pytest.param([(0, 0), (0, 2), (2, 4), (0, 0)], [(0, 4)], [], [0, 1, 1, 0], id="BOS and EOS have no text"),
        pytest.param([(0, 1), (0, 1), (0, 1), (1, 2)], [(0, 1)], [], [1, 1, 1, 0], id="bytes of one character"),
        pytest.param([(0, 2), (2, 4), (4, 6), (6, 8)], [(0, 1), (5, 8)], [], [1, 0, 1, 1], id="two spans"),
        pytest.param([(0, 2), (2, 6)], [(0, 3)], [(3, 6)], [1, 0], id="a token with the closing fence is not focal"),
        pytest.param([(0, 4), (4, 6)], [], [], [0, 0], id="insertion only: nothing to penalise"),
    ],
)
def test_focal_mask(offsets, focal, fences, expected):
    assert focal_mask(offsets, spans(*focal), spans(*fences)) == expected


def test_span_beyond_the_tokens():
    with pytest.raises(SpanError, match=r"310-342 ends after the last token \(298\)"):
        focal_mask([(0, 298)], spans((310, 342)))


@pytest.mark.parametrize(
    ("reported", "tokens", "expected"),
    [
        pytest.param([(0, 2), (2, 5)], "ab cde", [(0, 2), (2, 5)], id="no gaps"),
        pytest.param([(0, 2), (5, 5), (5, 8)], "ab ĠĠĠ cde", [(0, 2), (2, 5), (5, 8)], id="an indentation"),
        pytest.param([(0, 1), (5, 6)], "ĊĠĠĠĠ x", [(0, 5), (5, 6)], id="a newline with the indentation behind it"),
        pytest.param([(0, 1), (7, 8)], "ĊĠĠĠĠ ĠĠx", [(0, 5), (5, 8)], id="spaces of both neighbours"),
        pytest.param([(0, 1), (4, 4), (5, 6)], "ĊĠ ĠĠ Ġx", [(0, 2), (2, 4), (4, 6)], id="and an indentation between"),
        pytest.param([(0, 2), (3, 5)], "ab Ġcd", [(0, 2), (2, 5)], id="a leading space"),
        pytest.param([(0, 0), (0, 2), (0, 0)], "<s> ab </s>", [(0, 0), (0, 2), (0, 0)], id="special tokens stay empty"),
        pytest.param([(0, 1), (0, 0), (4, 5)], "ĊĠĠĠ <s> x", [(0, 4), (0, 0), (4, 5)], id="also amid an indentation"),
        pytest.param([(0, 1), (0, 1), (1, 2)], "Ã © x", [(0, 1), (0, 1), (1, 2)], id="bytes of one character"),
        pytest.param([(0, 1), (0, 1), (3, 4)], "Ã ©ĠĠ x", [(0, 1), (0, 3), (3, 4)], id="and spaces behind them"),
    ],
)
def test_contiguous(reported, tokens, expected):
    assert contiguous(reported, tokens.split()) == expected


@pytest.mark.parametrize(
    ("completion", "expected"),
    [
        pytest.param("```python\nx\n```", ["```python", "```"], id="fenced program"),
        pytest.param("Here:\n```py\nx\n```\nDone.", ["```py", "```"], id="prose around"),
        pytest.param("```python\nx", ["```python"], id="never closed"),
        pytest.param("x = 1\n", [], id="no fence"),
        pytest.param("```\na\n```\n```\nb\n```\n", ["```"] * 4, id="two blocks"),
    ],
)
def test_fence_spans(completion, expected):
    assert [completion[s.start : s.stop] for s in fence_spans(completion)] == expected


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param([(0, 0)], id="empty"),
        pytest.param([(2, 1)], id="backwards"),
        pytest.param([(0, 3), (2, 4)], id="overlapping"),
        pytest.param([(3, 4), (0, 1)], id="unsorted"),
        pytest.param([(4, 6)], id="outside the text"),
    ],
)
def test_bad_spans_are_refused(bad):
    with pytest.raises(SpanError, match="pair a#1, rejected: span"):
        check_spans(spans(*bad), "abcde", "pair a#1, rejected")


def test_good_spans_pass():
    check_spans(spans((0, 2), (2, 5)), "abcde", "pair a#1")


def test_shifted_spans_are_cut_to_the_content():
    assert shift_spans(spans((0, 4), (5, 9)), by=10, lowest=12, highest=16) == spans((12, 14), (15, 16))
