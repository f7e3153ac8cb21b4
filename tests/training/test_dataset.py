"""Parquet → tokenised pairs: what is refused, what is left out, and when a reference value may be used again."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from iterpref.errors import IterPrefError, RecordError, SpanError, TrainingError
from iterpref.records import Span
from iterpref.training import read_pairs
from iterpref.training.batching import FocalPreferenceCollator
from iterpref.training.config import FocalDPOConfig
from iterpref.training.pairs import tokenize_pairs

from .conftest import example_pairs, make_pair, write_pairs

FIXED = ["```python", "def f(x):", ">    x += 1", "    return x", "```"]
INSERT_ONLY = [line for line in FIXED if not line.startswith(">")]


def configure(tmp_path, **values):
    return FocalDPOConfig(output_dir=str(tmp_path / "out"), use_cpu=True, **{"method": "target_dpo", **values})


def tokenize(tmp_path, workshop, pairs, **values):
    dataset = read_pairs(write_pairs(tmp_path / "pairs", pairs))
    return tokenize_pairs(dataset, workshop()[1], configure(tmp_path, **values))


def rewrite(folder, change):
    """Edit the Parquet file's rows behind the pairing stage's back."""
    path = folder / "train.parquet"
    table = pq.read_table(path)
    rows = table.to_pylist()
    change(rows[0])
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda row: row.update(rejected=row["rejected"].replace("total", "sum")), id="text"),
        pytest.param(lambda row: row["rejected_spans"][0].update(start=0), id="span"),
        pytest.param(lambda row: row.update(prompt="another"), id="prompt"),
        pytest.param(lambda row: row.update(content_hash="0" * 24), id="hash"),
    ],
)
def test_a_pair_changed_after_pairing_is_refused(tmp_path, change):
    folder = write_pairs(tmp_path, example_pairs())
    rewrite(folder, change)
    with pytest.raises(SpanError, match=r"pair pair-0: text or spans were changed"):
        read_pairs(folder)


def test_a_span_outside_its_text_is_refused(tmp_path):
    pair = example_pairs()[0].model_copy(update={"rejected_spans": (Span(start=0, stop=9999),)})
    with pytest.raises(SpanError, match="pair pair-0, rejected: span 0-9999"):
        read_pairs(write_pairs(tmp_path, [pair]))


def test_unreadable_input(tmp_path):
    with pytest.raises(RecordError, match="no Parquet files here"):
        read_pairs(tmp_path)
    with pytest.raises(RecordError, match=r"gone\.parquet: can't be read as Parquet"):
        read_pairs(tmp_path / "gone.parquet")
    (tmp_path / "bad.parquet").write_text("no parquet")
    with pytest.raises(RecordError, match=r"bad\.parquet: can't be read as Parquet"):
        read_pairs(tmp_path)
    pq.write_table(pa.table({"prompt": ["a"], "chosen": ["b"], "rejected": ["c"]}), tmp_path / "bad.parquet")
    with pytest.raises(RecordError, match="column pair_id, chosen_spans, rejected_spans, content_hash missing"):
        read_pairs(tmp_path)


def test_no_rows_and_empty_completions(tmp_path):
    folder = write_pairs(tmp_path, example_pairs())
    pq.write_table(pq.read_table(folder / "train.parquet").slice(0, 0), folder / "train.parquet")
    with pytest.raises(RecordError, match="no pairs to train on"):
        read_pairs(folder)
    with pytest.raises(RecordError, match="pair a: an empty completion"):
        read_pairs(write_pairs(tmp_path / "empty", [make_pair("a", "p", ["x"], [""])]))


def test_files_of_a_folder_are_read_in_order_of_their_names(tmp_path):
    pairs = example_pairs()
    write_pairs(tmp_path, pairs[:2])
    (tmp_path / "train.parquet").rename(tmp_path / "b.parquet")
    write_pairs(tmp_path, pairs[2:])
    (tmp_path / "train.parquet").rename(tmp_path / "a.parquet")
    assert read_pairs(tmp_path)["pair_id"] == [pair.pair_id for pair in [*pairs[2:], *pairs[:2]]]


def test_empty_focal_mask_policies(tmp_path, workshop):
    pairs = [*example_pairs()[:2], make_pair("insert", "Write f!\n", FIXED, INSERT_ONLY)]
    dropped = tokenize(tmp_path, workshop, pairs)
    assert (len(dropped.dataset), dropped.dropped) == (2, {"no_focal_token": 1})
    full = tokenize(tmp_path, workshop, pairs, empty_removed="full")
    assert (len(full.dataset), full.dropped) == (3, {})
    assert all(full.dataset[2]["rejected_mask"])
    with pytest.raises(SpanError, match="pair insert: no token of the rejected side is in D-"):
        tokenize(tmp_path, workshop, pairs, empty_removed="error")
    assert len(tokenize(tmp_path, workshop, pairs, method="dpo").dataset) == 3


def test_truncation_may_empty_the_mask(tmp_path, workshop):
    """Prompts hold 20 or 21 tokens, D⁻ starts at token 36 or 37."""
    pairs = example_pairs()
    assert tokenize(tmp_path, workshop, pairs, max_length=49).dropped == {}
    cut = tokenize(tmp_path, workshop, pairs, max_length=37, method="target_rpo")
    assert (len(cut.dataset), cut.dropped, cut.truncated) == (3, {"no_focal_token": 3}, 3)


def test_prompts_that_fill_the_length_are_left_out(tmp_path, workshop):
    result = tokenize(tmp_path, workshop, example_pairs(), method="dpo", max_length=21)
    assert (len(result.dataset), result.dropped) == (3, {"prompt_fills_max_length": 3})


def test_nothing_left_is_an_error(tmp_path, workshop):
    with pytest.raises(TrainingError, match=r"none of the 6 pairs .*6 prompt_fills_max_length"):
        tokenize(tmp_path, workshop, example_pairs(), max_length=4)


def test_errors_in_encoding_name_the_pair(tmp_path, workshop):
    with pytest.raises(IterPrefError, match="pair pair-0: the prompt is a list of messages, but"):
        tokenize(tmp_path, workshop, example_pairs(chat=True))


def test_the_fingerprint_follows_what_reference_values_depend_on(tmp_path, workshop):
    """TRL keeps precomputed reference values under the dataset's fingerprint."""
    pairs = example_pairs()

    def key(pairs=pairs, **values):
        return tokenize(tmp_path, workshop, pairs, **values).dataset._fingerprint

    assert key() == key() == key(method="target_rpo", learning_rate=0.5)
    narrower = [pairs[0].model_copy(update={"rejected_spans": pairs[0].rejected_spans[:1]}), *pairs[1:]]
    keys = [key(), key(method="dpo"), key(max_length=49), key(max_length=50), key(narrower), key(pairs[:5])]
    keys.append(key(max_length=50, truncation_mode="keep_end"))
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    ("max_length", "mode", "expected"),
    [
        (None, "keep_start", [[0, 0, 1, 1, 0], [0, 1, 1, 1, 0], [0, 0, 0, 1, 1], [0, 1, 0, 0, 0]]),
        (3, "keep_start", [[0, 0, 1], [0, 1, 1], [0, 0, 0], [0, 1, 0]]),
        (3, "keep_end", [[0, 1, 1], [1, 1, 1], [0, 1, 1], [0, 1, 0]]),
    ],
)
def test_collator_cuts_the_mask_like_the_ids(max_length, mode, expected):
    examples = [
        {
            "prompt_ids": [1, 2],
            "chosen_ids": [3, 4],
            "rejected_ids": [5, 6, 7],
            "rejected_mask": [0, 1, 1],
            "chosen_mask": [1, 1],
        },
        {
            "prompt_ids": [8],
            "chosen_ids": [9, 9, 9],
            "rejected_ids": [5, 6],
            "rejected_mask": [1, 0],
            "chosen_mask": [1, 1, 1],
        },
    ]
    collator = FocalPreferenceCollator(pad_token_id=0, max_length=max_length, truncation_mode=mode)
    assert collator(examples)["completion_mask"].tolist() == expected


def test_the_pairing_stage_writes_what_training_reads(tmp_path):
    from iterpref.pairing import write_dataset

    pairs = example_pairs(chat=True)
    write_dataset(tmp_path, pairs)
    read = read_pairs(tmp_path)
    assert read["rejected"] == [pair.rejected for pair in pairs]
    assert json.dumps(read[0]["prompt"]) == json.dumps([message.model_dump() for message in pairs[0].prompt])
