"""Ids as TRL makes them; focal tokens read back as text."""

import logging
from types import SimpleNamespace

import pytest
from datasets import Dataset
from transformers import PreTrainedTokenizerFast
from trl import DPOTrainer

from iterpref.errors import SpanError, TrainingError
from iterpref.records import Message
from iterpref.training.encoding import check_tokenizer, encode_pair

from .conftest import CHATML, example_pairs, make_pair, make_tokenizer

SETTINGS = [
    pytest.param({}, id="plain text"),
    pytest.param({"bos": True}, id="a BOS is prepended"),
    pytest.param({"chat": True}, id="chat template"),
    pytest.param({"trim_offsets": True}, id="offsets without leading spaces"),
]


def encode(pair, tokenizer):
    return encode_pair(pair.prompt, pair.chosen, pair.rejected, pair.rejected_spans, tokenizer)


def focal_text(encoded, tokenizer) -> str:
    return tokenizer.decode([i for i, m in zip(encoded.rejected_ids, encoded.rejected_mask, strict=True) if m])


@pytest.mark.parametrize("options", SETTINGS)
def test_same_ids_as_trl(workshop, options):
    tokenizer = workshop(**options)[1]
    pairs = example_pairs(chat="chat" in options)
    rows = [{"prompt": p.prompt, "chosen": p.chosen, "rejected": p.rejected} for p in pairs]
    if "chat" in options:
        rows = [
            {
                "prompt": [message.model_dump() for message in pair.prompt],
                "chosen": [{"role": "assistant", "content": pair.chosen}],
                "rejected": [{"role": "assistant", "content": pair.rejected}],
            }
            for pair in pairs
        ]
    args = SimpleNamespace(dataset_num_proc=None, max_length=None, truncation_mode="keep_start")
    theirs = DPOTrainer._prepare_dataset(
        SimpleNamespace(_tokenizer=tokenizer), Dataset.from_list(rows), tokenizer, args, "train"
    )
    for pair, row in zip(pairs, theirs, strict=True):
        ours = encode(pair, tokenizer)
        assert ours.prompt_ids == row["prompt_ids"]
        assert ours.chosen_ids == row["chosen_ids"]
        assert ours.rejected_ids == row["rejected_ids"]


@pytest.mark.parametrize("options", SETTINGS)
def test_focal_tokens_cover_the_wrong_lines_and_little_else(workshop, options):
    """This tokenizer has a token of ":", newline and indentation: it reaches into D⁻ and brings its colon along."""
    tokenizer = workshop(**options)[1]
    for pair in example_pairs(chat="chat" in options):
        wrong = [pair.rejected[s.start : s.stop].strip() for s in pair.rejected_spans]
        encoded = encode(pair, tokenizer)
        assert focal_text(encoded, tokenizer).replace(":\n", "\n").split() == " ".join(wrong).split()
        assert len(encoded.rejected_mask) == len(encoded.rejected_ids)


def test_fences_in_the_prompt_and_a_copy_of_the_program_there_change_nothing(workshop):
    tokenizer = workshop(chat=True)[1]
    program = ["```python", "def f(x):", ">    return x!", "```"]
    fixed = ["```python", "def f(x):", ">    return -x", "```"]
    bare = make_pair("a", (Message(role="user", content="Write f."),), fixed, program)
    copied = bare.model_copy(update={"prompt": (Message(role="user", content=f"Fix\n{bare.rejected}\nplease."),)})
    one, other = encode(bare, tokenizer), encode(copied, tokenizer)
    assert (one.rejected_ids, one.rejected_mask) == (other.rejected_ids, other.rejected_mask)
    assert any(one.rejected_mask)


def test_a_template_that_strips_the_reply_moves_the_spans(workshop):
    tokenizer = make_tokenizer(chat=True)
    tokenizer.chat_template = CHATML.replace("m.content", "m.content | trim")
    pair = make_pair("a", (Message(role="user", content="Write f."),), ["", "ok", ""], ["", "", "x = 1", ">y = 2!", ""])
    assert focal_text(encode(pair, tokenizer), tokenizer).split() == ["y", "=", "2!"]


def test_a_template_that_rewrites_the_reply_is_refused(workshop):
    tokenizer = make_tokenizer(chat=True)
    tokenizer.chat_template = CHATML.replace("m.content", "m.content | replace('=', ':=')")
    with pytest.raises(SpanError, match="changes the completion"):
        encode(example_pairs(chat=True)[0], tokenizer)


def test_a_template_that_adds_thoughts_before_the_reply(workshop):
    """What the template writes between the generation prompt and the reply is completion, as in TRL, but not focal."""
    tokenizer = make_tokenizer(chat=True)
    start = "{% if m.role == 'assistant' %}<think></think>{% endif %}{{ m.content }}"
    tokenizer.chat_template = CHATML.replace("{{ m.content }}", start)
    encoded = encode(example_pairs(chat=True)[0], tokenizer)
    assert tokenizer.decode(encoded.rejected_ids).startswith("<think></think>```python")
    assert "think" not in focal_text(encoded, tokenizer)


def test_a_generation_prompt_that_the_conversation_leaves_out_is_told(workshop, caplog):
    tokenizer = make_tokenizer(chat=True)
    tokenizer.chat_template = CHATML.replace("assistant\n{% endif", "assistant\n<empty>{% endif")
    with caplog.at_level(logging.WARNING, logger="iterpref"):
        encoded = encode(example_pairs(chat=True)[0], tokenizer)
    assert "'<empty>'" in caplog.text
    assert tokenizer.decode(encoded.chosen_ids).startswith("\n```python")


@pytest.mark.parametrize(
    ("template", "message"),
    [
        pytest.param(None, "no chat template", id="none"),
        pytest.param("{{ raise_exception('only two turns') }}", "only two turns", id="refuses the roles"),
        pytest.param("{{ messages[0].content }}", "leaves out the assistant", id="ignores the reply"),
    ],
)
def test_unusable_templates(workshop, template, message):
    tokenizer = make_tokenizer(chat=True)
    tokenizer.chat_template = template
    with pytest.raises(TrainingError, match=message):
        encode(example_pairs(chat=True)[0], tokenizer)


def test_tokenizers_that_cannot_be_used():
    with pytest.raises(TrainingError, match="no character offsets"):
        check_tokenizer(SimpleNamespace(is_fast=False))
    endless = PreTrainedTokenizerFast(tokenizer_object=make_tokenizer().backend_tokenizer)
    with pytest.raises(TrainingError, match="no eos_token"):
        check_tokenizer(endless)
