import pytest

from iterpref.pairing import changed_spans
from iterpref.programs import code_lines, fenced


def texts(text: str, spans: tuple) -> list[str]:
    return [text[span.start : span.stop] for span in spans]


@pytest.mark.parametrize(
    ("rejected", "chosen", "d_minus", "d_plus"),
    [
        pytest.param(fenced("a\nb\nc"), fenced("a\nx\nc"), ["b\n"], ["x\n"], id="line with its newline"),
        pytest.param(fenced("a\nc"), fenced("a\nb\nc"), [], ["b\n"], id="insertion only"),
        pytest.param(fenced("a\nb"), fenced("a\nx"), ["b\n"], ["x\n"], id="last line, newline before the fence"),
        pytest.param("a\nb", "a\nx", ["b"], ["x"], id="no fence: all code, no newline at the end"),
        pytest.param("Hi\n" + fenced("a"), "Ho\n" + fenced("a"), [], [], id="prose never counts"),
        pytest.param(fenced("a\rb"), fenced("a\rc"), ["a\rb\n"], ["a\rc\n"], id="lines split at newline only"),
        pytest.param(fenced("a\n\nb"), fenced("a\nb"), ["\n"], [], id="blank line"),
        pytest.param("```python\nü☃\nb", "```python\nü☃\nc", ["b"], ["c"], id="cut block, non-ASCII before it"),
    ],
)
def test_changed_spans(rejected: str, chosen: str, d_minus: list[str], d_plus: list[str]) -> None:
    spans = changed_spans(rejected, chosen)
    assert texts(rejected, spans.rejected) == d_minus
    assert texts(chosen, spans.chosen) == d_plus


def test_several_blocks_are_one_program() -> None:
    text = "A\n```python\na\n```\nB\n```python\nb\n```"
    assert [line.text for line in code_lines(text)] == ["a", "b"]
