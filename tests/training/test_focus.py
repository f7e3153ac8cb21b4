"""`focus: tokens`: within the changed lines only the words that differ carry loss."""

import pytest
from transformers import AutoTokenizer

from iterpref.errors import ConfigError
from iterpref.line_diff import anchors, changed_spans, changed_words
from iterpref.playground.coder import coder_path
from iterpref.records import Span
from iterpref.training.config import FocalDPOConfig
from iterpref.training.encoding import encode_pair

from .conftest import make_pair
from .test_variants import tokenize


def words(own: str, other: str) -> list[str]:
    spans = changed_spans(own, other)
    return [own[span.start : span.stop] for span in changed_words(own, other, spans.rejected, spans.chosen)]


@pytest.mark.parametrize(
    ("wrong", "right", "expected"),
    [
        pytest.param("a = b + 1\n", "a = b - 1\n", ["+"], id="one operator"),
        pytest.param("total = 10\n", "total = 100\n", ["10"], id="a number is one word"),
        pytest.param("  return x\n", "    return x\n", ["  "], id="indentation"),
        pytest.param("return a\n", "return a + b\n", ["\n"], id="words are missing: the one in their place"),
        pytest.param("f(x)\n", "f(x, y)\n", [")"], id="an argument is missing"),
        pytest.param("f(x, y)\n", "f(x)\n", [",", " ", "y"], id="an argument too many"),
        pytest.param("a\nx = 1\nb\nx = 2\n", "a\nx = 3\nb\nx = 4\n", ["1", "2"], id="two runs"),
        pytest.param("a = 1\nb\n", "b\nc = 1\n", ["a", " ", "=", " ", "1", "\n"], id="a run that has no counterpart"),
        pytest.param("x = é\n", "x = e\n", ["é"], id="not ASCII"),
        pytest.param("a\n", "a\nb\n", [], id="nothing removed"),
        pytest.param("x", "x y", ["x"], id="nothing stands where words are missing: the whole line"),
    ],
)
def test_words(wrong, right, expected):
    assert words(wrong, right) == expected


def test_spans_of_another_kind_stay():
    """The whole program (`empty_removed: full`), or spans that came with the data, are no diff of lines."""
    wrong, right = "a\nb\n", "a\nx\nb\n"
    whole = [Span(start=0, stop=2), Span(start=2, stop=4)]
    assert changed_words(wrong, right, whole, [Span(start=2, stop=4)]) == whole
    part = [Span(start=0, stop=1)]
    assert changed_words(wrong, right, part, []) == part


def test_the_masks_are_within_those_of_lines(tmp_path, workshop):
    chosen = ["```python", "def f(xs):", ">    total = sum(xs) + 1", "    return total", "```"]
    rejected = ["```python", "def f(xs):", ">    total = sum(xs) - 1", "    return total", "```"]
    pairs = [make_pair("one", "Write f!\n", chosen, rejected)]
    tokenizer = workshop()[1]
    marked = {}
    for focus in ("lines", "tokens"):
        row = tokenize(tmp_path, workshop, pairs, method="symmetric", focus=focus).dataset[0]
        for side in ("chosen", "rejected"):
            ids = [i for i, weight in zip(row[f"{side}_ids"], row[f"{side}_mask"], strict=True) if weight]
            marked[focus, side] = tokenizer.decode(ids)
    assert "-" in marked["tokens", "rejected"] and "+" in marked["tokens", "chosen"]
    assert all(len(marked["tokens", side]) < len(marked["lines", side]) for side in ("chosen", "rejected"))
    assert "sum" not in marked["tokens", "rejected"] and "sum" in marked["lines", "rejected"]


@pytest.mark.parametrize("method", ["sft", "dpo", "diff_augmentation"])
def test_methods_without_changed_lines_of_their_own(tmp_path, method):
    with pytest.raises(ConfigError, match=f"focus=tokens, but method={method}"):
        FocalDPOConfig(output_dir=str(tmp_path), method=method, focus="tokens")
    with pytest.raises(ConfigError, match="focus='words' is unknown"):
        FocalDPOConfig(output_dir=str(tmp_path), method="target_dpo", focus="words")


@pytest.mark.parametrize(
    "missing",
    [
        pytest.param(["    if not xs:", "        return 0"], id="before a line"),
        pytest.param(["    return total"], id="at the end: the closing fence is penalised"),
        pytest.param(["        total += x"], id="one step deeper"),
    ],
)
def test_an_anchor_is_the_first_token_that_differs(missing):
    right = "def f(xs):\n    if not xs:\n        return 0\n    for x in xs:\n        total += x\n    return total"
    wrong = "\n".join(line for line in right.split("\n") if line not in missing)
    chosen, rejected = (f"```python\n{text}\n```" for text in (right, wrong))
    tokenizer = AutoTokenizer.from_pretrained(coder_path())
    pair = encode_pair("f\n", chosen, rejected, anchors(rejected, chosen), tokenizer)
    ids = zip(pair.chosen_ids, pair.rejected_ids, strict=False)
    first = next(at for at, (one, other) in enumerate(ids) if one != other)
    assert [at for at, mark in enumerate(pair.rejected_mask) if mark] == [first]
