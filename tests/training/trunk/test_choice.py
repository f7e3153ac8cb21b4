"""When shared tokens are run once, when not, and what is said about it."""

import logging

import pytest
import torch
from peft import LoraConfig, PrefixTuningConfig, get_peft_model
from transformers import AutoModelForCausalLM, LlamaForCausalLM, MambaConfig, MistralConfig, Qwen2Config

from iterpref.errors import TrainingError
from iterpref.training import FocalDPOConfig, FocalDPOTrainer, read_pairs
from iterpref.training.trunk.choice import candidates, obstacle
from iterpref.training.trunk.install import installed
from iterpref.training.trunk.layout import plan_layout

from ..conftest import example_pairs, write_pairs
from .conftest import make_network, make_rows

FREE = {"aux_loss": False, "sequence_parallel": False, "dropout": False}
SMALL = {"vocab_size": 97, "hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 32}
HEADS = {"num_attention_heads": 2, "num_key_value_heads": 2}


def network_of(config):
    return AutoModelForCausalLM.from_config(config)


@pytest.mark.parametrize("family", ["llama", "qwen2", "gpt_neox", "gpt2"])
def test_no_obstacle(family):
    assert obstacle(make_network(family), **FREE) is None


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (MistralConfig(**SMALL, **HEADS, sliding_window=8), "a window of 8 tokens"),
        (
            Qwen2Config(**SMALL, **HEADS, use_sliding_window=True, sliding_window=8, max_window_layers=1),
            "layers of other kinds .sliding_attention.",
        ),
        (MambaConfig(vocab_size=97, hidden_size=32, num_hidden_layers=1), "running state"),
    ],
    ids=["window", "hybrid window", "state space"],
)
def test_obstacles_in_the_model(config, reason):
    import re

    assert re.search(reason, obstacle(network_of(config), **FREE) or "")


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"aux_loss": True}, "load-balancing"),
        ({"sequence_parallel": True}, "shared between processes"),
        ({"dropout": True}, "dropout is on"),
    ],
)
def test_obstacles_in_the_settings(given, reason):
    assert reason in (obstacle(make_network("llama"), **{**FREE, **given}) or "")


def test_obstacles_in_adapters():
    lora = get_peft_model(make_network("llama"), LoraConfig(target_modules=["q_proj"]))
    assert obstacle(lora, **FREE) is None
    prefix = get_peft_model(make_network("llama"), PrefixTuningConfig(num_virtual_tokens=2, task_type="CAUSAL_LM"))
    assert "virtual tokens" in (obstacle(prefix, **FREE) or "")


def test_varlen_needs_cuda():
    assert candidates("auto", torch.bfloat16, torch.device("cpu")) == ("split", "sdpa")


def make_trainer(tmp_path, workshop, network=None, **values):
    folder, tokenizer = workshop()
    pairs = read_pairs(write_pairs(tmp_path / "pairs", example_pairs()))
    settings = {"use_cpu": True, "report_to": "none", "gradient_checkpointing": False, "max_steps": 2, **values}
    args = FocalDPOConfig(output_dir=str(tmp_path / "out"), save_strategy="no", **settings)
    return FocalDPOTrainer(network or folder, args=args, train_dataset=pairs, processing_class=tokenizer)


def broken(monkeypatch, *modes):
    """Make these ways of attention forget the prefix of a branch."""
    from iterpref.training.trunk import attention

    def forgetful(query, key, value, layout, scale):
        states = torch.nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True, scale=scale)
        return states.transpose(1, 2)

    for mode in modes:
        monkeypatch.setitem(attention.ATTENTIONS, mode, forgetful)


def test_auto_takes_the_next_way_if_one_gives_other_values(tmp_path, workshop, monkeypatch, caplog):
    broken(monkeypatch, "split")
    trainer = make_trainer(tmp_path, workshop)
    with caplog.at_level(logging.WARNING):
        trainer.train()
    assert trainer.trunk_mode == "sdpa"
    assert "trunk_attention=split gives other log-probabilities than separate sequences" in caplog.text


def test_a_way_asked_for_by_name_must_work(tmp_path, workshop, monkeypatch):
    broken(monkeypatch, "split")
    trainer = make_trainer(tmp_path, workshop, trunk_attention="split")
    with pytest.raises(TrainingError, match="set trunk_attention to auto or off"):
        trainer.train()


def test_auto_falls_back_to_separate_rows_and_says_why(tmp_path, workshop, caplog):
    vocabulary = len(workshop()[1])
    network = network_of(MistralConfig(**(SMALL | {"vocab_size": vocabulary}), **HEADS, sliding_window=8))
    network.save_pretrained(tmp_path / "mistral")
    trainer = make_trainer(tmp_path, workshop, str(tmp_path / "mistral"))
    with caplog.at_level(logging.WARNING):
        trainer.train()
    assert trainer.trunk_mode is None
    assert trainer.trunk_off_reason == "its attention sees a window of 8 tokens"
    assert trainer.trunk_off_reason in caplog.text
    assert all("trunk/token_ratio" not in entry for entry in trainer.state.log_history)


def test_the_model_is_untouched_outside_of_a_call(tmp_path, workshop):
    """Generation and saving see the attention and the hooks that were there before."""
    trainer = make_trainer(tmp_path, workshop)
    model = trainer.model
    hooks = (len(model._forward_hooks), len(model._forward_pre_hooks), len(model.base_model._forward_hooks))
    before = model.config._attn_implementation
    prompt = torch.tensor([[5, 6, 7]])
    expected = model.generate(prompt, max_new_tokens=5, do_sample=False)
    batch = trainer.data_collator([trainer.train_dataset[i] for i in range(2)])
    with trainer.packed(model, batch):
        assert model.config._attn_implementation != before
    assert model.config._attn_implementation == before
    assert hooks == (len(model._forward_hooks), len(model._forward_pre_hooks), len(model.base_model._forward_hooks))
    assert model.generate(prompt, max_new_tokens=5, do_sample=False).equal(expected)


def test_a_failing_call_leaves_nothing_behind():
    network = LlamaForCausalLM(make_network("llama").config)
    ids, loss = make_rows(1)
    layout = plan_layout(ids, loss, max(map(len, ids)))
    with pytest.raises(RuntimeError, match="on purpose"), installed([network], layout, "split"):
        raise RuntimeError("on purpose")
    assert network.config._attn_implementation == "sdpa"
    assert not network._forward_hooks and not network._forward_pre_hooks


@pytest.mark.parametrize("how", ["precomputed", "per step", "lora"])
def test_loss_curves_are_equal(tmp_path, workshop, how):
    """Every way to a reference; the curves with and without sharing agree to four digits."""
    curves = []
    for trunk in ("split", "off"):
        torch.manual_seed(0)
        network = AutoModelForCausalLM.from_pretrained(workshop()[0])
        if how == "lora":
            network = get_peft_model(network, LoraConfig(r=4, target_modules=["q_proj", "v_proj"]))
        trainer = make_trainer(
            tmp_path / trunk,
            workshop,
            network,
            method="target_rpo",
            trunk_attention=trunk,
            precompute_ref_log_probs=how == "precomputed",
            per_device_train_batch_size=3,
            gradient_checkpointing=how == "lora",
            learning_rate=1e-2,
            max_steps=6,
            logging_steps=1,
        )
        trainer.train()
        assert trainer.trunk_mode == (None if trunk == "off" else "split")
        curves.append(
            [(e["loss"], e["rewards/margins"], e["entropy"]) for e in trainer.state.log_history if "loss" in e]
        )
    assert torch.tensor(curves[0]).allclose(torch.tensor(curves[1]), rtol=1e-4, atol=1e-5)
    assert curves[0][-1][0] < curves[0][0][0]
