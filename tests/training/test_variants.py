"""The paper's ablations: which tokens carry loss, drawn once per pair."""

import pytest

from iterpref.errors import SpanError
from iterpref.records import Span
from iterpref.training import read_pairs
from iterpref.training.config import FocalDPOConfig
from iterpref.training.methods import is_plain, widened
from iterpref.training.pairs import tokenize_pairs

from .conftest import example_pairs, make_pair, write_pairs
from .test_loss import by_hand


def lines_in(text: str, spans) -> list[int]:
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    return [starts.index(span.start) for span in spans]


def tokenize(tmp_path, workshop, pairs, **values):
    dataset = read_pairs(write_pairs(tmp_path / "pairs", pairs))
    config = FocalDPOConfig(output_dir=str(tmp_path / "out"), **values)
    return tokenize_pairs(dataset, workshop()[1], config)


@pytest.mark.parametrize(
    ("wrong", "least", "most"),
    [
        pytest.param([3], {2, 3, 4}, {1, 2, 3, 4, 5}, id="one line"),
        pytest.param([2, 3], {1, 2, 3, 4}, {1, 2, 3, 4, 5}, id="a run of lines is widened as one"),
        pytest.param([1], {1, 2}, {1, 2, 3}, id="the fence above is no line of code"),
        pytest.param([6], {5, 6}, {4, 5, 6}, id="nor the fence below"),
        pytest.param([1, 6], {1, 2, 5, 6}, {1, 2, 3, 4, 5, 6}, id="two runs"),
    ],
)
def test_widened(wrong, least, most):
    text = "```python\na\nb\nc\nd\ne\nf\n```"
    spans = [Span(start=10 + 2 * (line - 1), stop=12 + 2 * (line - 1)) for line in wrong]
    drawn = [lines_in(text, widened(text, spans, str(key))) for key in range(40)]
    assert all(least <= set(lines) <= most for lines in drawn)
    assert {line for lines in drawn for line in lines} == most
    assert len({tuple(lines) for lines in drawn}) > 1
    assert drawn == [lines_in(text, widened(text, spans, str(key))) for key in range(40)]


def test_nothing_wrong_is_not_widened():
    assert widened("a\nb\n", [], "key") == []


def test_hybrid_takes_half_of_the_pairs_whole(tmp_path, workshop):
    assert 400 < sum(is_plain(f"pair-{i}") for i in range(1000)) < 600
    pairs = example_pairs()
    masks = tokenize(tmp_path, workshop, pairs, method="hybrid").dataset["rejected_mask"]
    focal = tokenize(tmp_path, workshop, pairs, method="target_rpo").dataset["rejected_mask"]
    expected = [[1] * len(mask) if is_plain(pair.pair_id) else mask for pair, mask in zip(pairs, focal, strict=True)]
    assert list(masks) == expected
    assert len({all(mask) for mask in masks}) == 2


def test_diff_augmentation_is_drawn_once_by_seed(tmp_path, workshop):
    pairs = example_pairs()
    plain = tokenize(tmp_path, workshop, pairs, method="target_rpo").dataset["rejected_mask"]
    drawn = [
        list(tokenize(tmp_path, workshop, pairs, method="diff_augmentation", seed=seed).dataset["rejected_mask"])
        for seed in (0, 0, 1)
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    for wide, narrow in zip(drawn[0], plain, strict=True):
        assert sum(wide) > sum(narrow)
        assert all(a >= b for a, b in zip(wide, narrow, strict=True))


def test_symmetric_marks_the_added_lines(tmp_path, workshop):
    pairs = example_pairs()
    result = tokenize(tmp_path, workshop, pairs, method="symmetric").dataset
    for pair, mask in zip(pairs, result["chosen_mask"], strict=True):
        mirrored = pair.model_copy(update={"rejected_spans": pair.chosen_spans})
        _, inside, focal = by_hand(mirrored, pair.chosen, workshop()[1], bos=False)
        assert mask == focal[inside.index(1) :]
        assert 0 < sum(mask) < len(mask)


def test_symmetric_without_added_lines(tmp_path, workshop):
    """A fix that only deletes lines has an empty D+."""
    lines = ["```python", "def f(x):", ">    x += 1", "    return x", "```"]
    pairs = [make_pair("deletion", "Write f!\n", [line for line in lines if line[0] != ">"], lines), *example_pairs()]
    kept = tokenize(tmp_path, workshop, pairs, method="symmetric")
    assert (len(kept.dataset), kept.dropped) == (6, {"no_added_token": 1})
    full = tokenize(tmp_path, workshop, pairs, method="symmetric", empty_added="full")
    assert (len(full.dataset), all(full.dataset[0]["chosen_mask"])) == (7, True)
    with pytest.raises(SpanError, match="pair deletion: no token of the chosen side is in D\\+"):
        tokenize(tmp_path, workshop, pairs, method="symmetric", empty_added="error")
    assert tokenize(tmp_path, workshop, pairs, method="target_rpo").dropped == {}


def test_sft_on_rejected(tmp_path, workshop):
    pairs = example_pairs()
    both = tokenize(tmp_path, workshop, pairs, method="target_rpo").dataset
    learned = tokenize(tmp_path, workshop, pairs, method="sft", sft_on="rejected").dataset
    assert list(learned["chosen_ids"]) == list(both["rejected_ids"])
    assert all(map(all, learned["chosen_mask"]))
    assert not any(learned["rejected_ids"])
