"""LoRA through the config, on the playground's coder: what is trained, what is saved, what is refused."""

import asyncio
import json
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaModel

from iterpref.clients.base import Request, Sampling
from iterpref.clients.local.client import LocalClient
from iterpref.errors import ClientError, TrainingError
from iterpref.playground.coder import coder_path
from iterpref.records import Message
from iterpref.training import FocalDPOConfig, FocalDPOTrainer, read_pairs, resuming
from iterpref.training.train import train

from .conftest import example_pairs, write_pairs

CONFIG = {
    "use_peft": True,
    "lora_r": 4,
    "lora_target_modules": "all-linear",
    "learning_rate": 1e-2,
    "max_steps": 3,
    "per_device_train_batch_size": 2,
    "gradient_checkpointing": False,
    "logging_steps": 1,
    "save_steps": 2,
    "use_cpu": True,
}


@pytest.fixture
def pairs(tmp_path):
    return write_pairs(tmp_path / "pairs", example_pairs(chat=True))


def test_the_merged_model_is_base_and_adapter(tmp_path, pairs):
    """Any server loads it: the base model's files with other weights, and no trace of PEFT."""
    out, base = tmp_path / "out", str(coder_path())
    summary = train(pairs, base, out, CONFIG)
    assert summary.steps == 3
    assert_same_files(out, Path(base))
    assert "trunk/token_ratio" in json.loads((out / "training_log.json").read_text())[0]
    merged = AutoModelForCausalLM.from_pretrained(out)
    tokenizer = AutoTokenizer.from_pretrained(out)
    assert tokenizer.chat_template == AutoTokenizer.from_pretrained(base).chat_template
    bare = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    ids = torch.tensor([tokenizer("def solve(xs):\n    return sorted(xs)")["input_ids"]])
    with torch.no_grad():
        before = bare(ids).logits
        adapted = PeftModel.from_pretrained(bare, out / "adapter")(ids).logits
        after = merged(ids).logits
    torch.testing.assert_close(after, adapted, rtol=1e-4, atol=1e-4)
    assert (after - before).abs().max() > 1e-2
    client = LocalClient(out)
    asked = Request(messages=(Message(role="user", content="Write it."),), sampling=Sampling(max_tokens=4))
    assert asyncio.run(client.complete(asked)).completion_tokens > 0
    client.close()


def assert_same_files(out: Path, base: Path) -> None:
    """What a server reads: the same architecture, tensors of the same names and shapes, the same tokenizer."""
    assert not (out / "adapter_config.json").exists()
    configs = [json.loads((folder / "config.json").read_text()) for folder in (out, base)]
    dtypes = [getattr(torch, config.pop("dtype")) for config in configs]
    for config in configs:
        del config["transformers_version"]
    assert configs[0] == configs[1]
    tensors = [load_file(folder / "model.safetensors") for folder in (out, base)]
    assert {n: t.shape for n, t in tensors[0].items()} == {n: t.shape for n, t in tensors[1].items()}
    assert [{t.dtype for t in found.values()} for found in tensors] == [{dtype} for dtype in dtypes]
    texts = [json.loads((folder / "tokenizer.json").read_text()) for folder in (out, base)]
    assert texts[0]["model"] == texts[1]["model"]
    assert texts[0]["added_tokens"] == texts[1]["added_tokens"]
    template = AutoTokenizer.from_pretrained(base).chat_template
    assert (out / "chat_template.jinja").read_text() == template


def test_only_the_adapter_is_trained_and_kept_in_checkpoints(tmp_path, pairs):
    train(pairs, str(coder_path()), tmp_path / "out", {**CONFIG, "merge_adapter": False})
    assert not (tmp_path / "out" / "model.safetensors").exists()
    saved = load_file(tmp_path / "out" / "checkpoint-2" / "adapter_model.safetensors")
    assert all("lora_" in name for name in saved)


@pytest.mark.slow
def test_a_run_with_an_adapter_goes_on(tmp_path, pairs):
    """As if killed before it could say that it is finished, with the last checkpoint incomplete."""
    train(pairs, str(coder_path()), tmp_path / "out", CONFIG)
    whole = load_file(tmp_path / "out" / "model.safetensors")
    run_file = tmp_path / "out" / resuming.TRAINING_RUN
    run_file.write_text(json.dumps({**json.loads(run_file.read_text()), "summary": None}))
    (tmp_path / "out" / "checkpoint-3" / "optimizer.pt").unlink()
    (tmp_path / "out" / "model.safetensors").unlink()
    assert train(pairs, str(coder_path()), tmp_path / "out", CONFIG).resumed_step == 2
    torch.testing.assert_close(load_file(tmp_path / "out" / "model.safetensors"), whole, rtol=0, atol=0)


@pytest.mark.skipif(torch.cuda.is_available(), reason="the error of a machine without CUDA")
@pytest.mark.parametrize("bits", ["load_in_4bit", "load_in_8bit"])
def test_quantization_without_cuda(tmp_path, pairs, bits):
    with pytest.raises(TrainingError, match=f"{bits} needs a CUDA device and bitsandbytes, but no CUDA device"):
        train(pairs, str(coder_path()), tmp_path / "out", {**CONFIG, bits: True})


def test_an_adapter_is_no_model(tmp_path, pairs):
    train(pairs, str(coder_path()), tmp_path / "out", {**CONFIG, "max_steps": 1})
    with pytest.raises(ClientError, match="is an adapter; merge it first"):
        train(pairs, str(tmp_path / "out" / "adapter"), tmp_path / "other", CONFIG)


def test_a_model_without_logits(tmp_path, pairs, workshop):
    """A decoder that was saved without its language-model head."""
    tokenizer = workshop(chat=True)[1]
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 16}
    LlamaModel(LlamaConfig(vocab_size=len(tokenizer), **shape)).save_pretrained(tmp_path / "headless")
    tokenizer.save_pretrained(tmp_path / "headless")
    message = r"headless: LlamaModel returns no logits, .*expected a causal language model, such as LlamaForCausalLM"
    with pytest.raises(ClientError, match=message):
        train(pairs, str(tmp_path / "headless"), tmp_path / "out", {"use_cpu": True})
    args = FocalDPOConfig(output_dir=str(tmp_path / "out"), use_cpu=True)
    with pytest.raises(ClientError, match=message):
        FocalDPOTrainer(str(tmp_path / "headless"), args=args, train_dataset=read_pairs(pairs))
