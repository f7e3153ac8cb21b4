"""Random models of several families in float64, and batches of rows that begin alike."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    PreTrainedModel,
    Qwen2Config,
)
from transformers.models.llama import modeling_llama
from transformers.models.qwen2 import modeling_qwen2

VOCABULARY = 97
Rows = tuple[list[list[int]], list[list[int]]]

_SHAPE = {"vocab_size": VOCABULARY, "hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4}
CONFIGS: dict[str, Callable[[], Any]] = {
    "llama": lambda: LlamaConfig(**_SHAPE, intermediate_size=64, num_key_value_heads=2, initializer_range=0.2),
    "qwen2": lambda: Qwen2Config(**_SHAPE, intermediate_size=64, num_key_value_heads=2, initializer_range=0.2),
    "gpt_neox": lambda: GPTNeoXConfig(**_SHAPE, intermediate_size=64, initializer_range=0.2),
    "gpt2": lambda: GPT2Config(
        vocab_size=VOCABULARY, n_embd=48, n_layer=3, n_head=4, n_positions=256, initializer_range=0.2,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
    ),
}  # fmt: skip


def make_network(family: str, seed: int = 0) -> PreTrainedModel:
    """A random float64 model with sdpa attention."""
    torch.manual_seed(seed)
    network = AutoModelForCausalLM.from_config(CONFIGS[family](), attn_implementation="sdpa")
    return network.double().train()


def make_rows(negatives: int, groups: int = 2, seed: int = 0, prompt: int = 23, code: int = 40) -> Rows:
    """Chosen rows, then rejected ones, as TRL stacks them; a group's chosen row comes once per rejected one.

    Loss is on all of a chosen row's completion, and on a few tokens of a rejected one behind its first difference.
    """
    draw = torch.Generator().manual_seed(seed)

    def tokens(count: int) -> list[int]:
        return torch.randint(0, VOCABULARY, (count,), generator=draw).tolist()

    chosen, rejected, chosen_loss, rejected_loss = [], [], [], []
    for group in range(groups):
        length = prompt + 3 * group
        good = tokens(length + code)
        for number in range(negatives):
            at = length + 5 + 7 * number
            wrong = [(good[at] + 1) % VOCABULARY, *tokens(3)]
            bad = good[:at] + wrong + good[at + 4 : -number or None]
            chosen.append(good)
            chosen_loss.append([0] * length + [1] * code)
            rejected.append(bad)
            rejected_loss.append([int(at <= place < at + 4 or place == at + 9) for place in range(len(bad))])
    return chosen + rejected, chosen_loss + rejected_loss


def logps_of_rows(network: Any, ids: Sequence[Sequence[int]], loss: Sequence[Sequence[int]]) -> torch.Tensor:
    """(R, W - 1) log-probabilities of the tokens with loss, each row run by itself; 0 elsewhere."""
    width = max(map(len, ids))
    rows = []
    for row, wanted in zip(ids, loss, strict=True):
        x = torch.tensor([row])
        logps = network(x, use_cache=False).logits[0, :-1].log_softmax(-1).gather(1, x[0, 1:, None])[:, 0]
        rows.append(torch.nn.functional.pad(logps * torch.tensor(wanted[1:]), (0, width - len(row))))
    return torch.stack(rows)


def focal_loss(logps: torch.Tensor) -> torch.Tensor:
    """-log sigmoid of the margin, plus a mean NLL: the shape of Target-RPO with a reference of 0."""
    chosen, rejected = logps.sum(1).chunk(2)
    nll = -logps[: len(chosen)].sum() / (logps[: len(chosen)] != 0).sum()
    return -torch.nn.functional.logsigmoid(0.1 * (chosen - rejected)).mean() + nll


@pytest.fixture
def exact_norms(monkeypatch: pytest.MonkeyPatch) -> None:
    """RMSNorm without its detour through float32, so that float64 stays float64."""

    def forward(self: Any, hidden: torch.Tensor) -> torch.Tensor:
        return self.weight * hidden * torch.rsqrt(hidden.pow(2).mean(-1, keepdim=True) + self.variance_epsilon)

    for norm in (modeling_llama.LlamaRMSNorm, modeling_qwen2.Qwen2RMSNorm):
        monkeypatch.setattr(norm, "forward", forward)
