"""Chat templates for base models: what they write, which tokenizers can have them, and where a reply ends."""

import asyncio
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, Starcoder2Config

from iterpref.clients import LocalConfig, Request, Sampling
from iterpref.clients.local.client import LocalClient
from iterpref.errors import ClientError
from iterpref.model_source import TEMPLATES, end_of_turn, give_template
from iterpref.playground.coder import coder_path
from iterpref.records import Message

TURNS = [{"role": "user", "content": "Write f."}, {"role": "assistant", "content": "f = 1"}]


@pytest.fixture
def tokenizer() -> Any:
    """The playground's, as a base model's: no chat template, and an end of texts of its own."""
    made = AutoTokenizer.from_pretrained(coder_path())
    made.add_special_tokens({"eos_token": "<|endoftext|>", "bos_token": "<s>"})
    made.chat_template = None
    return made


@pytest.mark.parametrize(
    ("template", "written"),
    [
        ("instruction", "### Instruction:\nWrite f.\n\n### Response:\nf = 1<|endoftext|>\n\n"),
        ("plain", "Write f.\nf = 1<|endoftext|>\n\n"),
    ],
)
def test_what_a_template_writes(tokenizer: Any, template: str, written: str) -> None:
    give_template(tokenizer, template, "m")
    assert tokenizer.apply_chat_template(TURNS, tokenize=False) == written
    opening = tokenizer.apply_chat_template(TURNS[:1], tokenize=False, add_generation_prompt=True)
    assert written.startswith(opening + "f = 1")
    assert end_of_turn(tokenizer) == "<|endoftext|>"


def test_a_template_keeps_the_token_that_begins_texts(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from tokenizers.processors import TemplateProcessing

    first = ("<s>", tokenizer.convert_tokens_to_ids("<s>"))
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[first])
    give_template(tokenizer, "plain", "m")
    assert tokenizer.apply_chat_template(TURNS[:1], tokenize=False) == "<s>Write f.\n"


def test_a_template_of_its_own_is_kept_unless_it_is_replaced(tokenizer: Any, tmp_path: Path) -> None:
    own = tmp_path / "own.jinja"
    own.write_text("{{ messages[-1].content }}{{ eos_token }}")
    give_template(tokenizer, str(own), "m")
    assert tokenizer.apply_chat_template(TURNS, tokenize=False) == "f = 1<|endoftext|>"
    give_template(tokenizer, "plain", "m")
    assert tokenizer.chat_template == own.read_text()
    give_template(tokenizer, "plain", "m", replace=True)
    assert tokenizer.chat_template == TEMPLATES["plain"]


def test_bad_input_templates(tokenizer: Any, tmp_path: Path) -> None:
    (tmp_path / "empty.jinja").write_text("\n")
    (tmp_path / "binary.jinja").write_bytes(b"\xff\xfe\x00")
    for template, message in {
        "chatml": r"needs the tokens <\|im_start\|> and <\|im_end\|>, which its tokenizer doesn't have",
        "alpaca": "no such template; expected chatml, instruction, plain, or the path of a Jinja file",
        str(tmp_path / "empty.jinja"): "the file is empty",
        str(tmp_path / "binary.jinja"): "can't be read",
    }.items():
        with pytest.raises(ClientError, match=message):
            give_template(tokenizer, template, "m")
    tokenizer.eos_token = None
    with pytest.raises(ClientError, match="its tokenizer has no eos_token"):
        give_template(tokenizer, "plain", "m")


@pytest.fixture
def always_ends(tmp_path: Path, tokenizer: Any) -> Path:
    """A model that says <|im_end|> whatever it reads, which by its configs ends nothing."""
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = Starcoder2Config(**shape, num_key_value_heads=2, vocab_size=len(tokenizer), tie_word_embeddings=False,
                              eos_token_id=tokenizer.eos_token_id, bos_token_id=None)  # fmt: skip
    network = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        network.model.norm.weight.zero_()
        network.model.norm.bias.fill_(1.0)
        network.lm_head.weight.zero_()
        network.lm_head.weight[tokenizer.convert_tokens_to_ids("<|im_end|>")] = 1.0
    network.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def test_a_reply_ends_where_the_template_ends_a_turn(always_ends: Path) -> None:
    """Raw text goes on, for there the token means nothing."""
    asked = (Message(role="user", content="Write f."),)
    sampling = Sampling(temperature=0, max_tokens=4)
    with closing(LocalClient(always_ends, chat_template="chatml")) as client:
        reply, raw = (
            asyncio.run(client.complete(Request(messages=asked, sampling=sampling, raw=raw))) for raw in (False, True)
        )
    assert (reply.finish_reason, reply.completion_tokens) == ("stop", 1)
    assert (raw.finish_reason, raw.completion_tokens) == ("length", 4)


def test_a_template_is_part_of_what_was_asked(tmp_path: Path) -> None:
    asked = Request(messages=(Message(role="user", content="x"),))
    file = tmp_path / "a.jinja"
    file.write_text("{{ messages[0].content }}")
    settings = [LocalConfig(), LocalConfig(chat_template="plain"), LocalConfig(chat_template=str(file))]
    manners = [client.manner(asked) for client in settings]
    assert manners[0] == ""
    assert manners[1] == "chat template plain where there is none"
    assert manners[2].startswith("chat template a.jinja ") and str(tmp_path) not in manners[2]
    assert settings[1].manner(asked.model_copy(update={"raw": True})) == ""
