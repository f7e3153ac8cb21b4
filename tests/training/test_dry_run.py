"""What a dry run says, against what training then does; its formulas against counts that were made otherwise."""

import copy
import json
from pathlib import Path

import pytest
import torch
from accelerate.data_loader import BatchSamplerShard
from peft import LoraConfig, get_peft_model
from torch.utils.data import BatchSampler
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, Qwen2Config, Starcoder2Config
from typer.testing import CliRunner

from iterpref.cli import app
from iterpref.errors import ClientError, ConfigError, TrainingError
from iterpref.training import train
from iterpref.training.config import FocalDPOConfig
from iterpref.training.dry_run.counting import Network, Saved, _count, count
from iterpref.training.dry_run.loads import Load, course
from iterpref.training.dry_run.memory import Keeping, memory_of
from iterpref.training.dry_run.plan import dry_run
from iterpref.training.dry_run.sharing import Sharing, sharing_of
from iterpref.training.dry_run.words import word_tokenizer
from iterpref.training.dry_run.work import training_work
from iterpref.training.reading import read_pairs

from .conftest import example_pairs, make_pair, write_pairs

SMALL = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4,
         "num_key_value_heads": 2, "vocab_size": 300}  # fmt: skip
CONFIGS = {"qwen2": Qwen2Config(**SMALL), "starcoder2": Starcoder2Config(**SMALL, bos_token_id=0, eos_token_id=0)}
TOKENS = 96


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Eight pairs, and one whose fix only inserts a line, which is dropped."""
    made = example_pairs(chat=True, count=8)
    inserted = make_pair("inserted", made[0].prompt, ["x = 1", ">x += 1"], ["x = 1"])
    return write_pairs(tmp_path_factory.mktemp("pairs"), [*made, inserted])


@pytest.mark.parametrize("kind", CONFIGS)
def test_what_is_counted_is_what_autograd_saves(kind):
    """Of the network itself, on a CPU, whose fused attention saves what is said of it. A packed row's results of
    attention are put together from its segments', a copy that rows by themselves don't need."""
    network = AutoModelForCausalLM.from_config(CONFIGS[kind], attn_implementation="sdpa")
    own = {tensor.untyped_storage().data_ptr() for tensor in (*network.parameters(), *network.buffers())}
    found = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            found[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        kept = network.base_model(input_ids=torch.zeros(1, TOKENS, dtype=torch.long), use_cache=False)
    counted = count(CONFIGS[kind], torch.float32, autocast=False)
    assert kept.last_hidden_state.requires_grad
    copies = 3 * 32 * 4 * TOKENS
    assert counted.in_layers.of(TOKENS) + counted.elsewhere.of(TOKENS) == sum(found.values()) + copies
    assert counted.parameters == network.num_parameters()
    assert counted.stream_bytes == 32 * 4


@pytest.mark.parametrize("kind", CONFIGS)
def test_operations_are_those_that_torch_counts(kind):
    """In products of matrices, of rows that share nothing; the head runs its logits once more than torch counts."""
    network = AutoModelForCausalLM.from_config(CONFIGS[kind], attn_implementation="sdpa")
    counter = FlopCounterMode(display=False)
    with counter:
        network(input_ids=torch.zeros(2, TOKENS, dtype=torch.long), use_cache=False).logits.sum().backward()
    products = sum(
        flops for name, flops in counter.get_flop_counts()["Global"].items() if str(name).endswith(("mm", "bmm"))
    )
    tokens = 2 * TOKENS
    counted = count(CONFIGS[kind], torch.float32, autocast=False)
    load = Load(tokens, attended=0, copied=0, states=tokens, predictions=tokens, unshared=tokens)
    said = training_work(counted, load, checkpointing=False, trunk=False)
    assert said.products - 2 * counted.head * tokens == products
    again = training_work(counted, load, checkpointing=True, trunk=False)
    assert again.products - said.products == 2 * counted.linear * tokens


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize("rank", [None, 4])
def test_layers_that_are_alike_are_counted_once(kind, rank):
    config = copy.deepcopy(CONFIGS[kind])
    config.num_hidden_layers = 6
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[:1] * 6

    def adapt(network):
        lora = LoraConfig(r=rank or 1, target_modules="all-linear", task_type="CAUSAL_LM")
        return get_peft_model(network, lora) if rank else network

    for dtype, autocast in ((torch.float32, True), (torch.bfloat16, False)):
        assert count(config, dtype, autocast, adapt) == _count(config, dtype, autocast, adapt)


def test_a_dry_run_says_what_training_then_does(pairs, workshop, tmp_path):
    """Pairs, what is dropped, steps, warm-up, and how many tokens the trunk saves."""
    model = workshop(chat=True)[0]
    settings = {"method": "target_rpo", "max_length": 64, "num_train_epochs": 2, "per_device_train_batch_size": 3,
                "gradient_accumulation_steps": 2, "logging_steps": 1, "save_strategy": "no", "report_to": "none",
                "warmup_steps": 0.5}  # fmt: skip
    said = dry_run(pairs, model, settings)
    assert list(tmp_path.iterdir()) == []
    done = train(pairs, model, tmp_path / "out", settings)
    assert (said.pairs, said.trained_pairs) == (done.pairs, done.trained_pairs)
    assert (said.dropped, said.truncated) == (done.dropped, done.truncated)
    assert said.dropped == {"no_focal_token": 1}
    assert (said.steps, said.epochs) == (done.steps, done.epochs)
    log = json.loads((tmp_path / "out" / "training_log.json").read_text())
    ratios = [entry["trunk/token_ratio"] for entry in log if "trunk/token_ratio" in entry]
    assert min(ratios) <= said.tokens_per_step_without_trunk / said.tokens_per_step <= 1.3 * max(ratios)  # with padding
    assert said.training["warmup_steps"] == said.steps / 2
    assert said.memory.weights_bytes == said.memory.reference_bytes == 4 * said.parameters


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"gradient_accumulation_steps": 16, "max_steps": 3}, id="a step ends with the epoch"),
        pytest.param({"gradient_accumulation_steps": 2, "max_steps": 5}, id="max_steps within an epoch"),
        pytest.param({"num_train_epochs": 1.5}, id="a part of an epoch"),
        pytest.param({"dataloader_drop_last": True, "group_pairs": False}, id="a short batch is left out"),
        pytest.param({"dataloader_drop_last": True}, id="of ours none is left out"),
        pytest.param({"curriculum": "frequent_first", "num_train_epochs": 2}, id="batches that come again"),
    ],
)
def test_steps_and_epochs_are_those_of_training(pairs, workshop, tmp_path, settings):
    """Eight pairs in batches of three."""
    model = workshop(chat=True)[0]
    settings = {"per_device_train_batch_size": 3, "save_strategy": "no", "report_to": "none", **settings}
    said = dry_run(pairs, model, settings, flops=1e12)
    done = train(pairs, model, tmp_path / "out", settings)
    assert (said.steps, said.epochs) == (done.steps, pytest.approx(done.epochs, abs=1e-3))


def test_pairs_of_a_step_and_what_processes_repeat(pairs, workshop):
    model, few = workshop(chat=True)[0], {"per_device_train_batch_size": 3, "group_pairs": False}
    alone = dry_run(pairs, model, {**few, "gradient_accumulation_steps": 128}, flops=1e12)
    assert (alone.steps, alone.pairs_per_step) == (3, 8.0)
    short = dry_run(pairs, model, {**few, "dataloader_drop_last": True, "num_train_epochs": 1}, flops=1e12)
    assert (short.steps, short.pairs_per_step) == (2, 3.0)
    eight = dry_run(pairs, model, {**few, "num_train_epochs": 1}, flops=1e12, sharing=Sharing(8, "ddp"))
    assert (eight.steps, eight.epochs, eight.pairs_per_step) == (1, 1.0, 21.33)
    assert eight.step_s == pytest.approx(alone.step_s / 3, rel=0.1)  # all eight run one batch
    assert "an epoch has 3 batches for 8 processes; in its last round 5 of them repeat one" in eight.notes[-1]
    with pytest.raises(TrainingError, match="dataloader_drop_last leaves no step: 2 whole batches for 8 processes"):
        dry_run(pairs, model, {**few, "dataloader_drop_last": True}, flops=1e12, sharing=Sharing(8, "ddp"))


@pytest.mark.parametrize("batches", [1, 3, 8, 9, 17])
@pytest.mark.parametrize("processes", [1, 2, 8])
@pytest.mark.parametrize("drop_last", [False, True])
def test_batches_that_processes_run_are_accelerates(batches, processes, drop_last):
    rows = BatchSampler(range(2 * batches), 2, drop_last)
    shards = [BatchSamplerShard(rows, processes, index) for index in range(processes)]
    run = sum(len(list(shard)) for shard in shards)
    args = FocalDPOConfig(output_dir="x", num_train_epochs=2, dataloader_drop_last=drop_last)
    if run:
        assert course(batches, args, processes).batches == 2 * run
        assert course(batches, args, processes).steps == 2 * len(shards[0])
    else:
        with pytest.raises(TrainingError, match="leaves no step"):
            course(batches, args, processes)


def test_a_config_alone_is_enough(pairs, tmp_path):
    """The 7B of the paper with fewer layers: no weights, no tokenizer, no device of the kind."""
    shape = {"hidden_size": 3584, "intermediate_size": 18944, "num_attention_heads": 28, "num_key_value_heads": 4}
    Qwen2Config(**shape, num_hidden_layers=2, vocab_size=152064, tie_word_embeddings=False).save_pretrained(tmp_path)
    settings = {"max_length": 2048, "gradient_checkpointing": True}
    said = dry_run(pairs, str(tmp_path), settings, device="cuda", flops=4e14)
    assert said.parameters == 2 * 152064 * 3584 + 3584 + 2 * (18944 * 3584 * 3 + 2 * 3584**2 + 2 * 3584 * 512
                                                             + 3584 + 2 * 512 + 2 * 3584)  # fmt: skip
    assert said.training["bf16"] is True
    assert any("no tokenizer" in note for note in said.notes)
    assert said.hours * 3600 == pytest.approx(said.steps * said.step_s)
    assert said.step_s == pytest.approx(said.flops_per_step / 4e14)
    with pytest.raises(ConfigError, match=r"a dry run for cuda on a machine without it .*--flops NUMBER"):
        dry_run(pairs, str(tmp_path), settings, device="cuda")


def test_adapters_are_counted_with_what_they_train(pairs, workshop):
    model = workshop(chat=True)[0]
    whole, lora = (dry_run(pairs, model, adapter, flops=1e12) for adapter in ({}, LORA))
    config = AutoConfig.from_pretrained(model)
    linear = 4 * (32 + 32) + (32 + 64) * 3
    assert lora.trained_parameters == config.num_hidden_layers * linear
    assert lora.parameters == whole.parameters + lora.trained_parameters
    assert lora.memory.reference_bytes == 0
    assert lora.flops_per_step < 0.9 * whole.flops_per_step  # the base's weights have no gradient


LORA = {"use_peft": True, "lora_r": 1, "lora_target_modules": "all-linear"}
# A million weights in four layers, of which a tenth is the head.
MILLION = Network(
    parameters=1_000_000, parameter_bytes=4_000_000, trained=1_000_000, trained_bytes=4_000_000, linear=800_000,
    linear_trained=800_000, last_feed_forward=100_000, head=100_000, head_trained=100_000, tied=False,
    attention_width=400, head_size=50, layers=4, layer=200_000, quantizable=800_000, in_layers=Saved(0, 4000.0),
    in_last=Saved(0, 500.0), elsewhere=Saved(0, 100.0), stream_bytes=400.0, hidden=100,
)  # fmt: skip
GPU = Keeping(device="cuda", compute_bytes=4, bits=None, reference=True, checkpointing=False, accumulates=True,
              optimizer="adamw_torch_fused", trunk=True, sharing=Sharing())  # fmt: skip
BATCH = Load(tokens=1000, attended=500_000, copied=300, states=400, predictions=400, unshared=2000)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, (4e6, 4e6, 4e6, 8e6), id="weights, reference, gradients and two moments in float32"),
        pytest.param({"reference": False}, (4e6, 0, 4e6, 8e6), id="precomputed"),
        pytest.param({"compute_bytes": 2, "bits": 4, "reference": False},
                     (4e6 - 8e5 * (2 - 0.5 - 4 / 64), 0, 4e6, 8e6), id="4 bits and a scale per 64"),
        pytest.param({"sharing": Sharing(8, "ddp")}, (4e6, 4e6, 8e6, 8e6), id="DDP's buckets"),
        pytest.param({"compute_bytes": 2, "sharing": Sharing(8, "deepspeed", 1, 1, 1)}, (2e6, 2e6, 2e6, 12e6),
                     id="DeepSpeed's 2 + 2 + 12"),
        pytest.param({"compute_bytes": 2, "sharing": Sharing(8, "deepspeed", 1, 8, 8)}, (2e6, 2e6, 2e6 / 8, 12e6 / 8),
                     id="ZeRO-2"),
        pytest.param({"compute_bytes": 2, "sharing": Sharing(8, "deepspeed", 8, 8, 8)},
                     (2e6 / 8 + 2 * (4e5 + 2e5), 2e6 / 8 + 2 * (4e5 + 2e5), 2e6 / 8, 12e6 / 8),
                     id="ZeRO-3: two layers, embedding and head are whole for a moment"),
    ],
)  # fmt: skip
def test_memory_by_its_parts(changes, expected):
    memory = memory_of(MILLION, Keeping(**{**vars(GPU), **changes}), BATCH)
    parts = (memory.weights_bytes, memory.reference_bytes, memory.gradients_bytes, memory.optimizer_bytes)
    assert parts == tuple(map(round, expected))
    whole = sum(parts) + memory.activations_bytes + memory.head_bytes
    assert memory.peak_bytes == pytest.approx(whole, abs=3)


def test_activations_with_and_without_checkpointing():
    """The last feed-forward runs 400 of 1,000 tokens; branches copy keys and values; one layer's worth is in work."""
    plain = memory_of(MILLION, GPU, BATCH)
    assert plain.activations_bytes == 1000 * (100 + 4000) - 600 * 500 + 2 * 300 * 400 * 4 + 1000 * 1000
    again = memory_of(MILLION, Keeping(**{**vars(GPU), "checkpointing": True}), BATCH)
    assert again.activations_bytes == 1000 * 100 + 4 * 400 * 1000 + 1000 * 1000 + 2 * 300 * 100 * 4 + 1000 * 1000
    assert plain.highest == "turn"
    few = Load(tokens=1, attended=1, copied=0, states=1, predictions=1, unshared=1)
    alone = memory_of(MILLION, Keeping(**{**vars(GPU), "accumulates": False}), few)
    assert (alone.highest, alone.gradients_bytes) == ("step", 4_000_000)


LAUNCHES = Path(__file__).parents[2] / "recipes" / "accelerate"
FSDP = "distributed_type: FSDP\nnum_processes: 8\nfsdp_config:\n  fsdp_version: 2\n  fsdp_reshard_after_forward: "


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("distributed_type: 'NO'\nnum_processes: 1\n", Sharing()),
        ("distributed_type: MULTI_GPU\nnum_processes: 8\n", Sharing(8, "ddp")),
        (f"{FSDP}true\n", Sharing(8, "fsdp", 8, 8, 8)),
        (f"{FSDP}false\n", Sharing(8, "fsdp", 1, 8, 8)),
        ("distributed_type: DEEPSPEED\nnum_processes: 16\nnum_machines: 2\ndeepspeed_config:\n  zero_stage: 3\n",
         Sharing(16, "deepspeed", 16, 16, 16)),
        ("distributed_type: DEEPSPEED\nnum_processes: 8\ndeepspeed_config:\n  zero_stage: 2\n",
         Sharing(8, "deepspeed", 1, 8, 8)),
    ],
)  # fmt: skip
def test_a_file_of_accelerate_says_what_is_shared(tmp_path, text, expected):
    path = tmp_path / "launch.yaml"
    path.write_text(f"compute_environment: LOCAL_MACHINE\n{text}")
    assert sharing_of(path) == expected


@pytest.mark.parametrize("nodes", [1, 2])
@pytest.mark.parametrize(
    ("name", "engine", "cut"),
    [("ddp", "ddp", ()), ("fsdp2", "fsdp", ("weights", "gradients", "optimizer")),
     ("zero2", "deepspeed", ("gradients", "optimizer")), ("zero3", "deepspeed", ("weights", "gradients", "optimizer"))],
)  # fmt: skip
def test_the_files_that_come_with_us_say_what_is_shared(name, engine, cut, nodes):
    sharing = sharing_of(LAUNCHES / f"{name}{'_2_nodes' if nodes == 2 else ''}.yaml")
    assert sharing == Sharing(8 * nodes, engine, **dict.fromkeys(cut, 8 * nodes))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "can't be read as a file of accelerate"),
        ("no mapping", "can't be read as a file of accelerate"),
        ("distributed_type: MEGATRON_LM\nnum_processes: 8\n", "distributed_type is MEGATRON_LM; expected FSDP"),
        ("distributed_type: FSDP\n", "num_processes is -1; expected the number of all processes"),
        ("distributed_type: DEEPSPEED\nnum_processes: 8\ndeepspeed_config:\n  deepspeed_config_file: gone.json\n",
         "deepspeed_config_file gone.json can't be read"),
    ],
)  # fmt: skip
def test_bad_input_a_file_that_no_launch_takes(tmp_path, text, message):
    path = tmp_path / "launch.yaml"
    if text:
        path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        sharing_of(path)


def test_words_stand_in_for_a_tokenizer(pairs):
    """Texts come back whole, and equal beginnings have equal ids."""
    rows = read_pairs(pairs)
    tokenizer = word_tokenizer(rows)
    text = rows[0]["chosen"]
    encoded = tokenizer(text, return_offsets_mapping=True)
    assert "".join(text[start:stop] for start, stop in encoded["offset_mapping"]) == text
    assert tokenizer.unk_token_id not in encoded["input_ids"]
    assert tokenizer(text[:40])["input_ids"][:8] == encoded["input_ids"][:8]
    assert len(text) / 6 < len(encoded["input_ids"]) < len(text) / 2


def command(run, *options):
    return CliRunner().invoke(app, ["train", "--run", str(run), "--dry-run", *options])


def test_the_command_writes_nothing(run, workshop, tmp_path):
    model = workshop(chat=True)[0]
    before = sorted(run.rglob("*"))
    result = command(run, "--set", f"model={model}", "--set", "training.method=dpo", "--json")
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout.splitlines()[-1])
    assert (said["method"], said["flops_from"], said["training"]["method"]) == ("dpo", "measured here", "dpo")
    assert said["memory"]["libraries_bytes"] > 1 << 27
    assert sorted(run.rglob("*")) == before
    spoken = command(run, "--set", f"model={model}", "--flops", "1e12")
    assert "hours: " in spoken.stdout
    assert "peak: " in spoken.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--set", "model=owner/name"], "A few small files will do here, no weights: hf download owner/name --include"),
        (["--device", "gpu"], "--device gpu: expected cpu or cuda"),
        (["--device", "cuda"], "say it: --flops NUMBER"),
        (["--flops", "0"], "--flops 0: expected more than 0"),
        (["--set", "training.methud=dpo"], "did you mean method"),
        (["--set", "training.model_init_kwargs.dtype=bfloat17"], "dtype=bfloat17 is unknown; expected auto, bfloat16"),
        (["--set", "training.model_init_kwargs.torch_dtype=bfloat16"], "torch_dtype is not read; its name is dtype"),
        (["--set", "training.eval_strategy=steps"], "eval_strategy=steps needs pairs to evaluate on"),
        (["--set", "training.use_peft=true", "--set", "training.lora_target_modules=nope"],
         "the adapter doesn't fit the model: Target modules nope not found"),
        (["--launch", "gone.yaml"], "--launch gone.yaml: can't be read"),
    ],
)  # fmt: skip
def test_bad_input_to_a_dry_run(run, options, message):
    result = command(run, *options)
    assert result.exit_code == 1
    assert message in str(result.exception)


def test_bad_input_a_folder_without_a_config(run, tmp_path, workshop):
    AutoTokenizer.from_pretrained(workshop(chat=True)[0]).save_pretrained(tmp_path / "tokens")
    result = command(run, "--set", f"model={tmp_path / 'tokens'}")
    assert isinstance(result.exception, ClientError)
    assert "the folder has no config.json" in str(result.exception)
    alone = CliRunner().invoke(app, ["train", "--run", str(run), "--flops", "1e9"])
    assert "say what a dry run is about; give --dry-run, too" in str(alone.exception)
