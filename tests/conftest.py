"""Shared fixtures: the development data, where it is at hand."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from iterpref.clients.replay import ReplayClient


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Recorded runs and benchmark files that are never part of this repository."""
    folder = Path(os.environ.get("ITERPREF_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"needs the development data: {folder} is absent (set ITERPREF_SHARED_DATA)")
    return folder


@pytest.fixture(autouse=True)
def recordings_are_closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Recordings that a test opens to ask them are closed when it ends."""
    opened: list[ReplayClient] = []
    start = ReplayClient.__init__

    def remembered(client: ReplayClient, path: str | Path) -> None:
        start(client, path)
        opened.append(client)

    monkeypatch.setattr(ReplayClient, "__init__", remembered)
    yield
    for client in opened:
        client.close()


@pytest.fixture
def write_rows(tmp_path: Path) -> Callable[..., Path]:
    """Write objects, or lines as they are, as JSONL."""

    def write(*rows: dict[str, Any] | str, name: str = "rows.jsonl") -> Path:
        path = tmp_path / name
        path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
        return path

    return write


CHAT_TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)


@pytest.fixture(scope="session")
def random_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a real, tiny, untrained chat model: every loading and decoding path, no skill."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("random_model")
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    bpe.decoder = decoders.ByteLevel()
    special = ["<|end|>", "<|user|>", "<|assistant|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=special, initial_alphabet=alphabet)
    bpe.train_from_iterator(["def f(x):\n    return x + 1\n"] * 4, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="<|end|>", pad_token="<|end|>")
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, max_position_embeddings=128, eos_token_id=0, pad_token_id=0, bos_token_id=None,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    model.generation_config.eos_token_id = 0
    model.save_pretrained(folder)
    return folder
