"""Small random networks, rows, and what an engine makes of them."""

from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

from iterpref.clients.local.engine import Engine
from iterpref.clients.local.row import DecodingRow
from iterpref.clients.local.waves import Waves

SIZES: dict[str, Any] = {
    "vocab_size": 97, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 1024,
}  # fmt: skip


def random_network(kind: str = "qwen2", vocabulary: int = 97) -> Any:
    torch.manual_seed(0)
    sizes = SIZES | {"vocab_size": vocabulary}
    made = Qwen2ForCausalLM(Qwen2Config(**sizes)) if kind == "qwen2" else LlamaForCausalLM(LlamaConfig(**sizes))
    return made.eval()


def row(*prompt: int, limit: int = 12, ends: frozenset[int] = frozenset(), **more: Any) -> DecodingRow:
    return DecodingRow(list(prompt), limit, ends, **{"seed": 7, "temperature": 0.8, **more})


def decode(engine: Engine | Waves, *rows: DecodingRow) -> list[list[int]]:
    for one in rows:
        engine.add(one)
    while engine.busy:
        engine.step()
    return [one.new for one in rows]
