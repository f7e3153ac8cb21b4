"""Weights laid out for a CPU's decoding: the same numbers, and no second copy."""

from typing import Any

import pytest
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from iterpref.clients.local import packed
from iterpref.clients.local.packed import PackedLinear, pack_linears


def network(**more: Any) -> Any:
    torch.manual_seed(0)
    sizes = {"vocab_size": 97, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
             "num_attention_heads": 4, "num_key_value_heads": 2}  # fmt: skip
    return Qwen2ForCausalLM(Qwen2Config(**sizes | more)).eval()


@pytest.mark.parametrize("tied", [True, False])
def test_a_packed_model_gives_the_same_logits(tied: bool) -> None:
    plain, made = network(tie_word_embeddings=tied), network(tie_word_embeddings=tied)
    assert pack_linears(made) == 2 * 7 + 1
    tokens = torch.tensor([[1, 5, 9, 60, 2]])
    with torch.inference_mode():
        assert torch.allclose(made(tokens).logits, plain(tokens).logits, atol=1e-5)
    assert not any(type(layer) is torch.nn.Linear for layer in made.modules())
    assert all("embed" in name or "norm" in name or "bias" in name for name, _ in made.named_parameters())


@pytest.mark.parametrize("shape", [(32,), (1, 32), (3, 5, 32), (2, 0, 32)])
@pytest.mark.parametrize("bias", [True, False])
def test_shapes_are_those_of_a_linear_layer(shape: tuple[int, ...], bias: bool) -> None:
    layer = torch.nn.Linear(32, 7, bias=bias)
    with torch.inference_mode():
        states = torch.randn(shape)
        found = PackedLinear(layer)(states)
        assert found.shape == (*shape[:-1], 7)
        assert torch.allclose(found, layer(states), atol=1e-5)


def test_weights_can_be_read_and_are_the_layers_own() -> None:
    layer = torch.nn.Linear(40, 24)
    assert torch.equal(PackedLinear(layer).weight, layer.weight)


def test_other_layers_stay() -> None:
    class Own(torch.nn.Linear):
        """A quantised layer is one of these."""

    made = torch.nn.Sequential(Own(8, 8), torch.nn.Linear(8, 8, dtype=torch.float64), torch.nn.Linear(8, 8))
    assert pack_linears(made) == 1
    assert [type(layer) for layer in made] == [Own, torch.nn.Linear, PackedLinear]


def test_half_of_the_bits_are_laid_out_too_where_the_processor_can() -> None:
    plain, made = network().bfloat16(), network().bfloat16()
    assert pack_linears(made) in (0, 2 * 7 + 1)
    tokens = torch.tensor([[1, 5, 9, 60, 2]])
    with torch.inference_mode():
        assert torch.allclose(made(tokens).logits, plain(tokens).logits, atol=2e-2)


def test_where_the_operator_is_missing_or_wrong_nothing_is_exchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(torch.nn.Module):
        def __init__(self, linear: torch.nn.Linear) -> None:
            super().__init__()
            raise AttributeError("no operator of this name")

    class Wrong(PackedLinear):
        def forward(self, states: torch.Tensor) -> torch.Tensor:
            return super().forward(states) + 1

    for kind in (Gone, Wrong):
        made = network()
        with monkeypatch.context() as patched:
            patched.setattr(packed, "PackedLinear", kind)
            assert pack_linears(made) == 0
        assert type(made.lm_head) is torch.nn.Linear
