"""Real tokenizers and tiny real models, made on the spot, and pairs written as the pairing stage writes them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from iterpref.records import ImportedPair, Message, PreferencePair, Span, Task, TestFile
from iterpref.store import Store

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# "!" is the first byte of the byte-level alphabet, so it gets token id 0.
_CORPUS = [
    f"```python\ndef f{i}(xs):\n    total = {i}\n    for x in xs:\n        if x != {i}:\n            total += x\n"
    f'    return total\n```\nWrite f{i}! It adds all but {i}.\n"""héllo"""\n'
    for i in range(40)
]


def make_tokenizer(*, bos: bool = False, chat: bool = False, trim_offsets: bool = False) -> PreTrainedTokenizerFast:
    """Byte-level BPE trained on whole files without splitting at words or lines, so tokens cross line ends."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=420, initial_alphabet=alphabet, max_token_length=7, show_progress=False)
    core.train_from_iterator(_CORPUS, trainer)
    specials = ["<s>", "</s>", "<pad>", "<|im_start|>", "<|im_end|>"]
    core.add_special_tokens(specials)
    if bos:
        core.post_processor = processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", core.token_to_id("<s>"))]
        )
    elif trim_offsets:
        core.post_processor = processors.ByteLevel(trim_offsets=True)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<s>",
        eos_token="<|im_end|>" if chat else "</s>",
        pad_token="<pad>",
        chat_template=CHATML if chat else None,
    )
    assert tokenizer.convert_tokens_to_ids("!") == 0
    return tokenizer


def make_model(folder: Path, tokenizer: PreTrainedTokenizerFast, kind: str = "llama", seed: int = 0) -> str:
    """Save a random model (`llama`, `wide llama`, `gpt2`) of two layers with the tokenizer; returns the folder."""
    torch.manual_seed(seed)
    if kind != "gpt2":
        width = 320 if kind == "wide llama" else 32
        network = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(tokenizer),
                hidden_size=width,
                intermediate_size=2 * width,
                num_hidden_layers=2,
                num_attention_heads=2,
                num_key_value_heads=2,
                max_position_embeddings=512,
                initializer_range=6.4 / width,
                tie_word_embeddings=True,
                bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id,
            )
        )
    else:
        network = GPT2LMHeadModel(
            GPT2Config(
                vocab_size=len(tokenizer),
                n_embd=32,
                n_layer=2,
                n_head=2,
                n_positions=512,
                initializer_range=0.2,
                bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id,
            )
        )
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def make_pair(pair_id: str, prompt: Any, chosen: Sequence[str], rejected: Sequence[str]) -> PreferencePair:
    """A pair from lines; those that start with `>` are the wrong (rejected) or the new ones (chosen)."""
    sides = [_mark(lines) for lines in (chosen, rejected)]
    return PreferencePair(
        pair_id=pair_id,
        task_id=pair_id,
        prompt=prompt,
        chosen=sides[0][0],
        rejected=sides[1][0],
        chosen_spans=sides[0][1],
        rejected_spans=sides[1][1],
        diff="lcs",
        diff_version=1,
        render_template="fenced",
    )


def _mark(lines: Sequence[str]) -> tuple[str, tuple[Span, ...]]:
    text, spans = "", []
    for number, line in enumerate(lines):
        bare = line.removeprefix(">") + ("\n" if number < len(lines) - 1 else "")
        if line.startswith(">"):
            spans.append(Span(start=len(text), stop=len(text) + len(bare)))
        text += bare
    return text, tuple(spans)


def write_pairs(folder: Path, pairs: Sequence[PreferencePair]) -> Path:
    """Write pairs as one Parquet file with the columns of the pairing stage; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [pair.model_dump(mode="json", exclude={"filters"}) | {"content_hash": pair.content_hash} for pair in pairs]
    spans = pa.list_(pa.struct([("start", pa.int64()), ("stop", pa.int64())]))
    table = pa.Table.from_pylist(rows)
    for name in ("chosen_spans", "rejected_spans"):  # an empty list alone has no type
        at = table.schema.get_field_index(name)
        table = table.set_column(at, name, pa.array([row[name] for row in rows], type=spans))
    pq.write_table(table, folder / "train.parquet")
    return folder


def example_pairs(chat: bool = False, count: int = 6) -> list[PreferencePair]:
    """Pairs with a fence in the prompt, a replaced and a removed line, a non-ASCII character, and token id 0 in use."""
    pairs = []
    for i in range(count):
        text = f"Write f{i}!\n```python\n>>> f{i}([1, 2])\n```\n"
        prompt = (Message(role="user", content=text),) if chat else text
        chosen = [
            "```python",
            f"def f{i}(xs):",
            "    '''héllo!'''",
            ">    total = 0",
            "    for x in xs:",
            f">        if x != {i}:",
            "            total += x",
            "    return total",
            "```",
        ]
        rejected = [
            "```python",
            f"def f{i}(xs):",
            "    '''héllo!'''",
            f">    total = {i}",
            "    for x in xs:",
            *([">        x = x!r"] if i % 2 else []),
            "            total += x",
            *(["    return total"] if i % 3 else [">    return -total"]),
            "```",
        ]
        pairs.append(make_pair(f"pair-{i}", prompt, chosen, rejected))
    return pairs


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[str, PreTrainedTokenizerFast]]:
    """`workshop(kind="llama", bos=, chat=, trim_offsets=)` → (model folder, tokenizer), each made once a session."""
    made: dict[tuple[Any, ...], tuple[str, PreTrainedTokenizerFast]] = {}

    def get(kind: str = "llama", **options: bool) -> tuple[str, PreTrainedTokenizerFast]:
        key = (kind, *sorted(options.items()))
        if key not in made:
            tokenizer = make_tokenizer(**options)
            made[key] = (make_model(tmp_path_factory.mktemp("model"), tokenizer, kind), tokenizer)
        return made[key]

    return get


@pytest.fixture
def run(tmp_path):
    """A run folder that every verb can begin with."""
    folder = tmp_path / "run"
    write_pairs(folder / "pairs", example_pairs(chat=True))
    (folder / "config.yaml").write_text(yaml.safe_dump({"sandbox": {"min_isolation": "rlimits"}}))
    tests = (TestFile(path="tests.py", content="assert f(2) == 4"),)
    imported = ImportedPair(pair_id="p", task_id="p", prompt="Write x.", chosen="x = 1\n", rejected="x = 2\n")
    with Store.open(folder) as store:
        store.put_imported_pairs([imported])
        store.put_tasks([Task(task_id="t/1", prompt="Double x.", tests=tests, style="assert", entry_point="f")])
    return folder
