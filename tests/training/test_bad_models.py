"""A model that can't be used, told in one line before its weights are read: in most tests here, they can't be."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, Gemma3Config, Gemma3TextConfig, Qwen2Config
from typer.testing import CliRunner

from iterpref.cli import app
from iterpref.errors import ClientError, IterPrefError
from iterpref.model_source import model_source, plan_of
from iterpref.store import Store

from .test_model_source import VERBS

LARGE = {"hidden_size": 8192, "intermediate_size": 28672, "num_hidden_layers": 80, "num_attention_heads": 64,
         "num_key_value_heads": 8}  # fmt: skip
SMALL = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
         "num_key_value_heads": 2}  # fmt: skip
LOADING = ("debug", "evaluate", "train")


def refused(verb, run, model, *options) -> str:
    """The line that the command ends with. Nothing is stored, and no folder of a training begun."""
    result = CliRunner().invoke(app, [verb, "--run", str(run), *VERBS[verb](str(model)), *options])
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, IterPrefError), repr(result.exception)
    with Store.open(run) as store:
        assert store.count("calls") == store.count("dead_letters") == store.count("trajectories") == 0
    assert not (run / "model").exists()
    message = str(result.exception)
    assert "\n" not in message
    return message


@pytest.fixture
def folder(tmp_path, workshop):
    """A model folder of this config, with a tokenizer, whose weights can't be read."""

    def make(config=None, template=True) -> Path:
        tokenizer = workshop(chat=True)[1]
        path = tmp_path / "bad"
        tokenizer.save_pretrained(path)
        if not template:
            (path / "chat_template.jinja").unlink()
        config = config or Qwen2Config(vocab_size=len(tokenizer), **SMALL)
        config.save_pretrained(path)
        (path / "model.safetensors").write_bytes(b"no weights")
        return path

    return make


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("name", ["model.gguf", "model.bin"])
def test_bad_input_a_gguf_file_where_a_folder_is_expected(run, tmp_path, verb, name):
    (tmp_path / name).write_bytes(b"GGUF\x03\x00\x00\x00" + bytes(64))
    message = refused(verb, run, tmp_path / name)
    assert f"model {tmp_path / name}: is a GGUF file, llama.cpp's format; take the folder" in message
    assert f"llama-server -m {tmp_path / name}, and client.kind=openai" in message


@pytest.mark.parametrize("verb", ["debug", "train", "pair"])
def test_bad_input_a_folder_with_a_gguf_file_alone(run, folder, verb):
    path = folder()
    (path / "model.safetensors").rename(path / "model-q4_k_m.gguf")
    for tokens in path.glob("*token*"):
        tokens.unlink()
    assert f"model {path}: holds a GGUF file (model-q4_k_m.gguf)" in refused(verb, run, path)


def test_bad_input_a_file_of_a_model_folder(folder):
    with pytest.raises(ClientError, match=r"is a file of a model folder; name the folder: .*bad$"):
        model_source(str(folder() / "config.json"))


def test_bad_input_weights_of_which_a_part_is_missing(folder):
    path = folder()
    (path / "model.safetensors").rename(path / "model-00001-of-00003.safetensors")
    parts = {f"layer.{i}": f"model-0000{i}-of-00003.safetensors" for i in (1, 2, 3)}
    (path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": parts}))
    with pytest.raises(ClientError, match=r"2 of 3 files of its weights are missing \(model-00002-of-00003.safetensor"):
        model_source(str(path))
    for name in parts.values():
        (path / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(ClientError, match=r"model-00001-of-00003.safetensors is a Git LFS pointer"):
        model_source(str(path))


@pytest.mark.parametrize("verb", ["debug", "evaluate"])
def test_bad_input_a_tokenizer_without_a_chat_template_is_told_once(run, folder, verb):
    """Of three tasks, none is asked about."""
    path = folder(template=False)
    with Store.open(run) as store:
        task = next(iter(store.tasks()))
        store.put_tasks([task.model_copy(update={"task_id": f"more/{i}"}) for i in range(2)])
    message = refused(verb, run, path)
    assert f"model {path}: its tokenizer has no chat template; " in message
    assert "chat_template.jinja" in message
    assert "evaluation.protocol=base" in message


def test_bad_input_a_chat_template_that_fails(run, folder):
    path = folder()
    (path / "chat_template.jinja").write_text("{{ raise_exception('Tools only') }}")
    assert "its chat template fails on a user's turn (Tools only); " in refused("debug", run, path)


def test_a_model_without_a_chat_template_continues_text(run, folder, tmp_path):
    """It is let through to its weights, which fail here."""
    test = "def check(candidate):\n    assert candidate(1) == 2\n"
    row = {"task_id": "HumanEval/0", "prompt": "def f(x):\n", "canonical_solution": "    return x + 1\n",
           "test": test, "entry_point": "f"}  # fmt: skip
    (tmp_path / "rows.jsonl").write_text(json.dumps(row))
    asked = ["--set", "evaluation.benchmark=humaneval", "--set", f"evaluation.path={tmp_path / 'rows.jsonl'}"]
    path = folder(template=False)
    assert "has no chat template" in refused("evaluate", run, path, *asked)
    message = refused("evaluate", run, path, *asked, "--set", "evaluation.protocol=base")
    assert "doesn't load (" in message


def test_bad_input_pairs_of_messages_and_a_tokenizer_without_a_chat_template(run, folder):
    path = folder(template=False)
    message = refused("train", run, path)
    assert f"model {path}: the prompt is a list of messages, but the tokenizer has no chat template; " in message


def test_bad_input_a_checkpoint_chosen_by_conversations_needs_a_chat_template(run, folder):
    from .conftest import example_pairs, write_pairs

    write_pairs(run / "pairs", example_pairs(chat=False))
    selection = ["benchmark=playground", "split=validation", "tasks=1"]
    options = [part for key in selection for part in ("--set", f"training.selection.{key}")]
    options += ["--set", "training.save_strategy=steps"]
    assert "its tokenizer has no chat template; " in refused("train", run, folder(template=False), *options)


@pytest.mark.parametrize("verb", LOADING)
def test_bad_input_a_model_too_large_for_memory(run, folder, workshop, verb):
    """2 x 70 billion parameters in training, where the reference is a second copy."""
    rows = len(workshop(chat=True)[1])
    message = refused(verb, run, folder(Qwen2Config(vocab_size=rows, **LARGE)))
    assert "of memory for its weights (68,460," in message
    assert f"needs about {'510.1' if verb == 'train' else '255.0'} GiB" in message
    assert "GiB are free on this machine; " in message or "GiB are free in this process's cgroup" in message
    assert ("training.use_peft=true" in message) == (verb == "train")
    assert ("client.kind=openai" in message) == (verb != "train")


def test_bad_input_an_adapter_of_a_model_too_large_for_memory(run, folder, workshop):
    """The reference is the model without its adapter."""
    path = folder(Qwen2Config(vocab_size=len(workshop(chat=True)[1]), **LARGE))
    message = refused("train", run, path, "--set", "training.use_peft=true")
    assert "needs about 255.0 GiB" in message
    halved = "training.model_init_kwargs={dtype: bfloat16}"
    assert "needs about 127.5 GiB" in refused("train", run, path, "--set", "training.use_peft=true", "--set", halved)


@pytest.mark.parametrize("verb", LOADING)
def test_bad_input_a_tokenizer_with_more_tokens_than_the_model(run, folder, workshop, verb):
    rows = len(workshop(chat=True)[1])
    message = refused(verb, run, folder(Qwen2Config(vocab_size=rows - 100, **SMALL)))
    assert f"its tokenizer gives token ids up to {rows - 1} " in message
    assert f"but the model has embeddings for {rows - 100} tokens (ids up to {rows - 101}), 9" in message


def test_special_tokens_beyond_the_embedding_that_nothing_uses_are_let_through(run, folder, workshop, caplog):
    """`<s>` would be used, and is before them; nothing writes the two that are added here."""
    path, tokenizer = folder(), workshop(chat=True)[1]
    rows = len(tokenizer)
    special = json.loads((path / "tokenizer.json").read_text())
    last = special["added_tokens"][-1]
    special["added_tokens"] += [last | {"id": rows + i, "content": f"<|fim_{i}|>"} for i in range(2)]
    (path / "tokenizer.json").write_text(json.dumps(special))
    assert "doesn't load (" in refused("debug", run, path)
    assert "special tokens of its tokenizer (<|fim_0|>, ...) have no embedding" in caplog.text


@pytest.mark.parametrize("tied", [True, False])
def test_a_plan_counts_what_is_loaded(tmp_path, tied):
    config = Qwen2Config(vocab_size=500, tie_word_embeddings=tied, **SMALL)
    network = AutoModelForCausalLM.from_config(config)
    network.save_pretrained(tmp_path)
    plan = plan_of(str(tmp_path))
    assert plan.parameters == network.num_parameters()
    assert plan.loaded_bytes("float32") == sum(t.numel() * t.element_size() for t in network.parameters())
    assert plan.loaded_bytes("bfloat16") == 2 * plan.parameters
    assert plan.loaded_bytes("float32", bits=4) == plan.parameters // 2
    assert plan.vocabulary == 500
    assert all(tensor.is_meta for tensor in plan.network.parameters())


def test_a_plan_reads_a_nested_config(tmp_path):
    text = Gemma3TextConfig(vocab_size=700, head_dim=16, **SMALL)
    vision = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    Gemma3Config(text_config=text, vision_config=vision).save_pretrained(tmp_path)
    plan = plan_of(str(tmp_path))
    assert plan.vocabulary == 700
    assert plan.parameters > 700 * 32


def test_a_quantized_model_is_as_large_as_its_files(run, folder, workshop):
    """70 billion parameters in ten bytes: refusing it would be wrong, whatever else is wrong with it."""
    quantized = {"quant_method": "awq", "bits": 4}
    path = folder(Qwen2Config(vocab_size=len(workshop(chat=True)[1]), quantization_config=quantized, **LARGE))
    assert plan_of(str(path)).loaded_bytes("float32") == len(b"no weights")
    assert "doesn't load (" in refused("debug", run, path)


def test_a_plan_of_an_adapter_is_that_of_its_model(tmp_path, workshop):
    base, tokenizer = workshop(chat=True)
    network = AutoModelForCausalLM.from_pretrained(base)
    get_peft_model(network, LoraConfig(task_type="CAUSAL_LM")).save_pretrained(tmp_path / "adapter")
    adapter = str(tmp_path / "adapter")
    with pytest.raises(ClientError, match="the folder has no tokenizer"):
        model_source(adapter)
    tokenizer.save_pretrained(adapter)
    assert model_source(adapter) == adapter
    assert plan_of(adapter).parameters == plan_of(base).parameters
    settings = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    settings["base_model_name_or_path"] = str(tmp_path / "gone")
    (tmp_path / "adapter" / "adapter_config.json").write_text(json.dumps(settings))
    with pytest.raises(ClientError, match=r"is an adapter .* can't be used: model .*gone: no such folder"):
        model_source(adapter)


def test_a_plan_draws_no_random_number(tmp_path):
    """Else a training would not begin with the same numbers as before there were plans."""
    Qwen2Config(vocab_size=500, **SMALL).save_pretrained(tmp_path)
    before = torch.random.get_rng_state()
    assert plan_of(str(tmp_path)).parameters
    assert torch.equal(torch.random.get_rng_state(), before)


def test_bad_input_a_model_in_the_hubs_cache_without_weights(tmp_path, monkeypatch, folder):
    """As a command leaves it that asked for the config alone."""
    from huggingface_hub import constants

    snapshot = tmp_path / "models--owner--name" / "snapshots" / "abc"
    (tmp_path / "models--owner--name" / "refs").mkdir(parents=True)
    (tmp_path / "models--owner--name" / "refs" / "main").write_text("abc")
    shutil.copytree(folder(), snapshot)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.file_download.HF_HUB_CACHE", str(tmp_path), raising=False)
    assert model_source("owner/name") == str(snapshot)
    (snapshot / "model.safetensors").unlink()
    with pytest.raises(ClientError, match=r"model owner/name \(in the hub's cache\): the folder has no weights"):
        model_source("owner/name")
