"""Gradients through the layout equal those of separate sequences, in float64, to rounding.

The reference runs every row by itself, without padding, and takes log-probabilities from the model's own logits.
"""

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest
import torch
import trl.trainer.utils
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM, MixtralConfig, MixtralForCausalLM

from iterpref.training.trunk.attention import attending, tree_mask
from iterpref.training.trunk.install import (
    CPU_TILE,
    causal_model,
    cpu_tiles,
    last_feed_forward,
    narrowed,
    pick_states,
    predicting,
    unpack,
)
from iterpref.training.trunk.layout import TrunkLayout, plan_layout

from .conftest import CONFIGS, focal_loss, logps_of_rows, make_network, make_rows

TOLERANCE = 1e-12
SMALL = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}


def logps_of_layout(network: Any, layout: TrunkLayout, mode: str) -> torch.Tensor:
    """(R, W - 1), from the packed row and the model's own head in float64."""
    model = causal_model(network)
    how = {"attention_mask": tree_mask(layout)} if mode == "sdpa" else {"trunk": layout}
    hidden = model.base_model(layout.input_ids, position_ids=layout.position_ids, use_cache=False, **how)
    logits = model.get_output_embeddings()(pick_states(hidden.last_hidden_state, layout))
    return unpack(logits.log_softmax(-1).gather(2, layout.labels[..., None])[..., 0], layout)


def gradients(network: Any) -> dict[str, torch.Tensor]:
    return {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}


def compare(network: Any, rows: Any, mode: str) -> float:
    """The relative error of the whole gradient, and an assertion on the values."""
    ids, loss = rows
    layout = plan_layout(ids, loss, max(map(len, ids)))
    expected = logps_of_rows(network, ids, loss)
    focal_loss(expected).backward()
    reference = gradients(network)
    network.zero_grad()
    model = causal_model(network)
    with attending([model.config], mode), narrowed(model.base_model, layout):
        got = logps_of_layout(network, layout, mode)
        focal_loss(got).backward()
    torch.testing.assert_close(got, expected, rtol=TOLERANCE, atol=TOLERANCE)
    ours = gradients(network)
    assert ours.keys() == reference.keys()
    error = sum((ours[n] - reference[n]).pow(2).sum() for n in ours) / sum(g.pow(2).sum() for g in reference.values())
    return float(error**0.5)


@pytest.mark.parametrize("mode", ["split", "sdpa"])
@pytest.mark.parametrize("negatives", [1, 3])
@pytest.mark.parametrize("family", list(CONFIGS))
def test_gradients(exact_norms, family, negatives, mode):
    assert compare(make_network(family), make_rows(negatives), mode) <= TOLERANCE


@pytest.mark.parametrize("mode", ["split", "sdpa"])
@pytest.mark.parametrize("reentrant", [False, True])
def test_gradients_with_checkpointing(exact_norms, mode, reentrant):
    network = make_network("llama")
    network.gradient_checkpointing_enable({"use_reentrant": reentrant})
    network.enable_input_require_grads()
    assert compare(network, make_rows(3), mode) <= TOLERANCE


@pytest.mark.parametrize("mode", ["split", "sdpa"])
@pytest.mark.parametrize("negatives", [1, 3])
def test_gradients_with_lora(exact_norms, mode, negatives):
    adapter = LoraConfig(r=4, target_modules=["q_proj", "v_proj", "down_proj"], init_lora_weights=False)
    network = get_peft_model(make_network("llama"), adapter).double()
    assert compare(network, make_rows(negatives), mode) <= TOLERANCE


@pytest.mark.parametrize("family", list(CONFIGS))
def test_the_last_feed_forward_runs_the_states_behind_predictions(family):
    network = make_network(family)
    ids, loss = make_rows(1)
    layout = plan_layout(ids, loss, max(map(len, ids)))
    part = last_feed_forward(network.base_model)
    assert part is not None
    seen = []
    part.register_forward_hook(lambda module, args, output: seen.append(args[0].shape[1]))
    with torch.no_grad():
        logps_of_layout(network, layout, "sdpa")
        with narrowed(network.base_model, layout):
            logps_of_layout(network, layout, "sdpa")
            network(torch.tensor(ids[:1]))  # another call within the context
    wanted = len(set(layout.picked.tolist()))
    assert len(predicting(layout)) == wanted < layout.tokens
    assert seen == [layout.tokens, wanted, len(ids[0])]


def test_experts_are_left_alone():
    """A router may drop or weigh tokens by what else there is."""
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = MixtralConfig(vocab_size=50, num_key_value_heads=2, num_local_experts=2, num_experts_per_tok=1, **sizes)
    assert last_feed_forward(MixtralForCausalLM(config).base_model) is None


def test_the_heads_tiles_change_no_value():
    """TRL's head over a vocabulary of several tiles, the last one cut short: values and gradients in float32."""
    torch.manual_seed(0)
    vocabulary = 2 * CPU_TILE + 300
    network = LlamaForCausalLM(LlamaConfig(vocab_size=vocabulary, **SMALL))
    trl.trainer.utils.add_fused_lm_head(network, outputs=("entropy", "mean_logits", "is_top1"))
    ids = torch.randint(vocabulary, (2, 40))
    before = trl.trainer.utils._CHUNKED_LOGPROB_CHUNK_SIZE
    found, widths = [], []
    for tiles in (nullcontext(), cpu_tiles(ids.device)):
        network.zero_grad()
        with tiles:
            outputs = network(ids, labels=ids, fused_lm_head=True)
            outputs.log_probs.sum().backward()
        head = outputs.log_probs.grad_fn.next_functions[0][0].next_functions[0][0]
        widths.append(head.chunk_size)
        found.append([outputs.log_probs, outputs.entropy, outputs.mean_logits, outputs.is_top1])
        found[-1] += [p.grad.clone() for p in network.parameters()]
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-5)
    assert widths == [before, CPU_TILE]
    assert before == trl.trainer.utils._CHUNKED_LOGPROB_CHUNK_SIZE


@pytest.mark.parametrize("mode", ["split", "sdpa"])
def test_a_row_that_shares_more_with_a_sibling(exact_norms, mode):
    """The third row leaves the second row's branch, not the trunk."""
    start = list(range(30))
    ids = [[*start, 1, 2, 3], [*start[:25], 50, 51, 52, 53, 54], [*start[:25], 50, 51, 52, 60, 61], [*start[:20], 9, 9]]
    loss = [[0] * 28 + [1] * 5, [0] * 25 + [1] * 5, [0] * 27 + [1, 0, 1], [0] * 20 + [1, 1]]
    layout = plan_layout(ids, loss, max(map(len, ids)))
    assert [segment.prefix for segment in layout.segments] == [(), ((0, 25),), ((0, 25), (32, 35)), ((0, 20),)]
    assert compare(make_network("llama"), (ids, loss), mode) <= TOLERANCE


@pytest.mark.parametrize("damage", ["positions", "prefix"])
def test_a_wrong_layout_is_seen(exact_norms, damage):
    """The control: branches that start at position 0, or see one token less, must show."""
    ids, loss = make_rows(1, groups=1)
    layout = plan_layout(ids, loss, max(map(len, ids)))
    branch = layout.segments[1]
    if damage == "positions":
        positions = layout.position_ids.clone()
        positions[0, branch.start : branch.stop] -= branch.prefix_length
        layout = replace(layout, position_ids=positions)
    else:
        shorter = replace(branch, prefix=((1, branch.prefix_length),))
        layout = replace(layout, segments=(layout.segments[0], shorter, *layout.segments[2:]))
    network = make_network("llama")
    with torch.no_grad():
        expected = logps_of_rows(network, ids, loss)
        with attending([network.config], "split"):
            got = logps_of_layout(network, layout, "split")
    assert (got - expected).abs().max() > 1e-6
