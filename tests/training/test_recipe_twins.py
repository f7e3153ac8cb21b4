"""Each recipe of the paper's models, run for two steps on a tiny model of the same architecture, and read again."""

import json
from pathlib import Path

import pytest
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    Qwen2Config,
    Starcoder2Config,
)
from typer.testing import CliRunner

from iterpref.cli import app
from iterpref.config.load import load_config
from iterpref.errors import TrainingError
from iterpref.model_source import end_of_turn
from iterpref.playground.coder import coder_path
from iterpref.records import Message
from iterpref.store import Store
from iterpref.training import train
from iterpref.training.dry_run.plan import dry_run
from iterpref.training.dry_run.sharing import sharing_of

from .conftest import CHATML, example_pairs, make_pair, write_pairs

RECIPES = Path(__file__).parents[2] / "recipes"
SHAPE = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
         "max_position_embeddings": 2048}  # fmt: skip
# Model → its twin's config, whether its tokenizer has a chat template, and what ends its texts.
TWINS = {
    "qwen2.5-coder-1.5b": (Qwen2Config, {"num_key_value_heads": 2, "tie_word_embeddings": True}, True, "<|endoftext|>"),
    "qwen2.5-coder-7b": (Qwen2Config, {"num_key_value_heads": 2}, True, "<|endoftext|>"),
    "deepseek-coder-1.3b": (
        LlamaConfig,
        {"rope_scaling": {"rope_type": "linear", "factor": 4.0}},
        False,
        "<|endoftext|>",
    ),
    "deepseek-coder-6.7b": (
        LlamaConfig,
        {"rope_scaling": {"rope_type": "linear", "factor": 4.0}},
        False,
        "<|endoftext|>",
    ),
    "codeqwen1.5-7b": (Qwen2Config, {"num_key_value_heads": 2}, True, "<|im_end|>"),
    "starcoder2-15b": (Starcoder2Config, {"num_key_value_heads": 2, "sliding_window": 4096}, False, "<|endoftext|>"),
}
# Without quantizing, which needs a GPU, these are the recipes of LoRA again.
AGAIN = [f"{name}/qlora" for name in TWINS if name != "starcoder2-15b"]
PAPERS = sorted(path for name in TWINS for path in (RECIPES / name).glob("*.yaml"))
QUICK = {"max_steps": 2, "gradient_accumulation_steps": 1, "save_strategy": "no", "logging_steps": 1}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    return write_pairs(tmp_path_factory.mktemp("pairs"), example_pairs(chat=True))


@pytest.fixture(scope="module")
def twin(tmp_path_factory):
    """A random model of a recipe's architecture, with the playground's tokenizer made like that model's."""
    made = {}

    def get(name: str) -> Path:
        if name not in made:
            kind, extra, has_template, end = TWINS[name]
            tokenizer = AutoTokenizer.from_pretrained(coder_path())
            tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>", "<|endoftext|>"]})
            tokenizer.eos_token = end
            tokenizer.chat_template = CHATML if has_template else None
            number = tokenizer.convert_tokens_to_ids(end)
            config = kind(**SHAPE, **extra, vocab_size=len(tokenizer), eos_token_id=number, bos_token_id=None)
            folder = tmp_path_factory.mktemp("twin")
            AutoModelForCausalLM.from_config(config).save_pretrained(folder)
            tokenizer.save_pretrained(folder)
            made[name] = folder
        return made[name]

    return get


def section(path: Path, **changes: object) -> dict[str, object]:
    """The recipe's training without what a CPU can't do, which is refused by name (test_adapters.py)."""
    quantized = ("load_in_4bit", "bnb_4bit_quant_type", "use_bnb_nested_quant")
    return {key: value for key, value in load_config(path).training.items() if key not in quantized} | QUICK | changes


def named(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, id=named(path), marks=pytest.mark.slow if named(path) in AGAIN else []) for path in PAPERS],
)
def test_a_recipe_trains_its_twin(path, twin, pairs, tmp_path):
    name = path.parent.name
    done = train(pairs, str(twin(name)), tmp_path / "out", section(path))
    assert (done.steps, done.trained_pairs) == (2, 6)
    model, tokenizer = (kind.from_pretrained(tmp_path / "out") for kind in (AutoModelForCausalLM, AutoTokenizer))
    end = tokenizer.convert_tokens_to_ids(end_of_turn(tokenizer))
    assert tokenizer.eos_token_id == end
    ends = model.generation_config.eos_token_id
    assert end in (ends if isinstance(ends, list) else [ends])
    log = json.loads((tmp_path / "out" / "training_log.json").read_text())
    assert log[0]["trunk/token_ratio"] > 1.5  # StarCoder2's window holds the longest row
    turn = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Write f."}], return_tensors="pt", add_generation_prompt=True, return_dict=True
    )
    assert model.generate(**turn, max_new_tokens=2, do_sample=False).shape[1] > turn["input_ids"].shape[1]


def test_the_batch_is_the_papers():
    for path in PAPERS:
        values = load_config(path).training
        processes = 8 if "accelerate launch" in path.read_text() else 1
        assert values["per_device_train_batch_size"] * values["gradient_accumulation_steps"] * processes == 128
        rate = 1e-4 if values.get("use_peft") else 5e-6 if "15b" in path.parent.name else 1e-5
        assert values["learning_rate"] == rate
        assert values["bf16"] and values["max_length"] == 2048


def test_bad_input_a_recipe_for_a_model_whose_tokenizer_has_no_template(twin, pairs, tmp_path):
    values = section(RECIPES / "starcoder2-15b" / "target_rpo.yaml", chat_template=None)
    with pytest.raises(TrainingError, match=r"has no chat template; give it one with training.chat_template=instruct"):
        train(pairs, str(twin("starcoder2-15b")), tmp_path / "out", values)
    assert not (tmp_path / "out").exists()


def test_plain_dpo_on_a_base_model_is_warned_of(twin, pairs, tmp_path, caplog):
    """Not on a chat model, not of a focal method, and not of what was trained here before."""
    values = section(RECIPES / "qwen2.5-coder-7b" / "target_rpo.yaml", max_steps=1)
    warned = "looks like a base model (nothing ends its texts where a turn ends, with <|im_end|>), and method=dpo"
    train(pairs, str(twin("qwen2.5-coder-7b")), tmp_path / "a", values | {"method": "sft", "alpha": 1.0})
    assert warned not in caplog.text
    train(pairs, str(twin("qwen2.5-coder-7b")), tmp_path / "b", values | {"method": "dpo"})
    assert warned in caplog.text
    caplog.clear()
    train(pairs, str(tmp_path / "a"), tmp_path / "c", values | {"method": "dpo"})
    train(pairs, str(twin("codeqwen1.5-7b")), tmp_path / "d", values | {"method": "dpo"})
    assert "base model" not in caplog.text


SHAPES = json.loads((Path(__file__).parent / "shapes.json").read_text())
PUBLISHED = {"qwen2.5-coder-1.5b": 1.54, "qwen2.5-coder-7b": 7.62, "deepseek-coder-1.3b": 1.35,
             "deepseek-coder-6.7b": 6.74, "codeqwen1.5-7b": 7.25, "starcoder2-15b": 15.96}  # fmt: skip


@pytest.fixture(scope="module")
def long_pairs(tmp_path_factory):
    """Pairs that fill 2,048 tokens on both sides and differ from the first line on."""
    lines = [f"    x{i} = x{i - 1} + {i}" for i in range(1, 300)]
    made = [
        make_pair(f"long-{i}", (Message(role="user", content=f"Write f{i}. " * 40),),
                  ["```python", f">def f{i}(x0):", *lines, "```"], ["```python", f">def g{i}(x0):", *lines, "```"])
        for i in range(4)
    ]  # fmt: skip
    return write_pairs(tmp_path_factory.mktemp("long"), made)


@pytest.mark.parametrize("path", PAPERS, ids=named)
def test_a_recipe_is_planned_from_the_published_config(path, long_pairs, tmp_path):
    """Of the models' config.json; what is said to fit into 24 GB does, with a tenth to spare."""
    name = path.parent.name
    (tmp_path / "config.json").write_text(json.dumps(SHAPES[name]))
    launch = sharing_of(RECIPES / "accelerate/fsdp2.yaml" if "accelerate launch" in path.read_text() else None)
    plan = dry_run(long_pairs, str(tmp_path), load_config(path).training, device="cuda", flops=1e14, sharing=launch)
    added = plan.trained_parameters if path.stem != "target_rpo" else 0
    assert (plan.parameters - added) / 1e9 == pytest.approx(PUBLISHED[name], abs=0.006)
    assert plan.trunk.endswith("fewer tokens")
    room = 80e9 if path.stem == "target_rpo" else 24e9
    assert plan.memory.peak_bytes < 0.9 * room
    assert plan.truncated == 4


def command(*words: object) -> str:
    result = CliRunner().invoke(app, [*map(str, words)])
    assert result.exit_code == 0, result.output + repr(result.exception)
    return result.stdout


def test_a_base_model_from_import_to_evaluation(twin, tmp_path):
    """Own pairs, the recipe, own tasks: continued before training, conversations after it, by the training's name."""
    recipe, run = RECIPES / "starcoder2-15b" / "target_rpo.yaml", tmp_path / "run"
    pair = {"prompt": "Write f(x).", "chosen": "```python\ndef f(x):\n    return 2 * x\n```",
            "rejected": "```python\ndef f(x):\n    return x\n```"}  # fmt: skip
    (tmp_path / "pairs.jsonl").write_text(json.dumps(pair))
    test = {"path": "t.py", "content": "assert f(2) == 4"}
    task = {"task_id": "t/1", "prompt": "Write f(x).", "tests": [test], "style": "assert", "entry_point": "f"}
    (tmp_path / "tasks.jsonl").write_text(json.dumps(task))
    command("import", tmp_path / "pairs.jsonl", "--run", run, "-c", recipe, "--set", "sandbox.min_isolation=rlimits")
    command("pair", "--run", run, "--set", "pairing.tokenizer=null")
    model = ["--set", f"model={twin('starcoder2-15b')}"]
    quick = [word for key, value in QUICK.items() for word in ("--set", f"training.{key}={json.dumps(value)}")]
    command("train", "--run", run, *model, *quick, "--output", "focal")
    own = ["--set", f"evaluation.benchmark={tmp_path / 'tasks.jsonl'}", "--set", "evaluation.sampling.max_tokens=4"]
    command("evaluate", "--run", run, *model, *own, "--set", "evaluation.protocol=base")
    asked = ["--set", "client.chat_template=instruction"]
    command("evaluate", "--run", run, *model, *own, *asked, "--model", twin("starcoder2-15b"), "--model", "focal")
    with Store.open(run, write=False) as store:
        protocols = [result.protocol for result in store.results()]
        prompts = [call["messages"][0]["content"] for call, _ in store.calls()]
    assert [protocol.split(",")[0] for protocol in protocols] == ["base", "plain", "plain"]
    assert "chat template instruction where there is none" in protocols[1]
    assert prompts == ['"""\nWrite f(x).\n"""\n', "Write f(x).", "Write f(x)."]
