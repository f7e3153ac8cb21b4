"""Build the tiny coder from nothing: `python -m iterpref.playground.pretrain --output DIR --seed 0`.

Corpus (corpus.py) → tokenizer → a small Llama, trained on the tokens of the replies only → DIR. One thread,
under an hour; the seed fixes everything but float rounding between machines.
"""

import argparse
import json
import math
import random
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn import functional
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from iterpref.errors import ConfigError
from iterpref.playground.corpus import conversations
from iterpref.playground.domain import Domain
from iterpref.playground.tasks import PLAYGROUND
from iterpref.records import Message

_Example = tuple[list[int], int]  # token ids, and where the reply starts
USER, ASSISTANT, END, PAD = "<user>", "<assistant>", "<end>", "<pad>"
MAX_TOKEN_CHARS = 32  # phrases that occur everywhere become one token, but not whole programs
CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{ '<assistant>' if message['role'] == 'assistant' else '<user>' }}{{ message['content'] }}"
    "{%- if message['role'] == 'assistant' -%}{{ '<end>' }}{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<assistant>' }}{%- endif -%}"
)


@dataclass(frozen=True)
class Settings:
    """Everything that decides the result besides the code."""

    seed: int = 0
    conversations: int = 48_000
    puzzles: int = 12_000
    vocabulary: int = 768
    hidden: int = 176
    layers: int = 4
    heads: int = 4
    intermediate: int = 480
    positions: int = 1024
    epochs: int = 1
    batch_tokens: int = 4096
    learning_rate: float = 2.5e-3
    warmup_steps: int = 100
    weight_decay: float = 0.05


def pretrain(output: Path, settings: Settings, domain: Domain = PLAYGROUND) -> dict[str, Any]:
    """Train the coder and save it; returns what is also written to `pretraining_log.json`.

    Raises:
        ConfigError: The sizes don't fit together, or a conversation has more tokens than `positions`.
    """
    started = time.monotonic()
    if settings.hidden % (2 * settings.heads):
        raise ConfigError(
            f"hidden is {settings.hidden}, heads is {settings.heads}; rotary attention needs an even size per head: "
            f"choose a multiple of {2 * settings.heads}"
        )
    torch.manual_seed(settings.seed)
    torch.set_num_threads(1)  # two are barely faster for a model of this size, and worse on a busy machine
    corpus = list(conversations(domain, settings.conversations, settings.puzzles, settings.seed))
    print(f"corpus: {len(corpus)} conversations, {time.monotonic() - started:.0f} s", flush=True)
    texts = (message.content for talk in corpus[:4000] for message in talk)
    tokenizer = train_tokenizer(texts, settings.vocabulary, settings.positions)
    examples = [_example(talk, tokenizer) for talk in corpus]
    tokens, longest = sum(len(ids) for ids, _ in examples), max(len(ids) for ids, _ in examples)
    if longest > settings.positions:
        raise ConfigError(f"positions is {settings.positions}; the longest conversation has {longest} tokens")
    print(f"tokens: {tokens}, {time.monotonic() - started:.0f} s", flush=True)
    model = LlamaForCausalLM(_model_config(settings, tokenizer))
    curve = _train(model, examples, settings)
    log = {
        "settings": asdict(settings),
        "parameters": sum(p.numel() for p in model.parameters()),
        "tokens_per_epoch": tokens,
        "loss": curve,
        "seconds": round(time.monotonic() - started, 1),
        "torch": torch.__version__,
    }
    _save(model, tokenizer, output, log)
    return log


def train_tokenizer(texts: Iterable[str], vocabulary: int, positions: int) -> Any:
    """Byte-level BPE with the chat template; `texts` are contents of messages, without special tokens.

    Nothing splits the text before the merges but digits, so tokens cross line ends and words, as they do in
    the tokenizers of large code models; any other text still encodes, byte by byte.
    """
    tokenizer = Tokenizer(models.BPE())
    whole = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), whole])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD, USER, ASSISTANT, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=MAX_TOKEN_CHARS,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        extra_special_tokens=[USER, ASSISTANT],
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
        padding_side="left",
        model_max_length=positions,
    )


def _example(talk: Sequence[Message], tokenizer: Any) -> _Example:
    turns = [message.model_dump() for message in talk]
    whole = tokenizer.apply_chat_template(turns, tokenize=False)
    asked = tokenizer.apply_chat_template(turns[:-1], tokenize=False, add_generation_prompt=True)
    ids: list[int] = tokenizer(whole, add_special_tokens=False)["input_ids"]
    return ids, len(tokenizer(asked, add_special_tokens=False)["input_ids"])


def _model_config(settings: Settings, tokenizer: Any) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=settings.hidden,
        intermediate_size=settings.intermediate,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        num_key_value_heads=settings.heads,
        max_position_embeddings=settings.positions,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def _train(model: LlamaForCausalLM, examples: list[_Example], settings: Settings) -> list[dict[str, float]]:
    """AdamW with warm-up and cosine decay; returns (step, loss, seconds) every hundred steps."""
    batches = list(_batches(examples, settings))
    weights = {"params": [p for p in model.parameters() if p.dim() > 1], "weight_decay": settings.weight_decay}
    gains = {"params": [p for p in model.parameters() if p.dim() <= 1], "weight_decay": 0.0}
    optimizer = torch.optim.AdamW([weights, gains], lr=settings.learning_rate, betas=(0.9, 0.95), fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, len(batches), settings))
    curve: list[dict[str, float]] = []
    started, recent = time.monotonic(), []
    model.train()
    for step, batch in enumerate(batches, 1):
        loss = _reply_loss(model, batch)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        recent.append(loss.item())
        if step % 100 == 0 or step == len(batches):
            mean = sum(recent) / len(recent)
            seconds = round(time.monotonic() - started, 1)
            curve.append({"step": step, "loss": round(mean, 4), "seconds": seconds})
            print(f"step {step}/{len(batches)}: loss {mean:.4f}, {seconds} s", flush=True)
            recent = []
    return curve


def _batches(examples: list[_Example], settings: Settings) -> Iterator[list[_Example]]:
    """Examples of like length together, about `batch_tokens` a batch, in random order."""
    rng = random.Random(settings.seed)
    for _ in range(settings.epochs):
        shuffled = rng.sample(examples, len(examples))
        batches: list[list[_Example]] = []
        for start in range(0, len(shuffled), 2048):
            batch: list[_Example] = []
            for example in sorted(shuffled[start : start + 2048], key=lambda e: len(e[0])):
                if (len(batch) + 1) * len(example[0]) > settings.batch_tokens and batch:
                    batches.append(batch)
                    batch = []
                batch.append(example)
            batches.append(batch)
        rng.shuffle(batches)
        yield from batches


def _reply_loss(model: LlamaForCausalLM, batch: list[_Example]) -> torch.Tensor:
    """Mean cross entropy over the replies' tokens. Right padding needs no mask: attention is causal."""
    width = max(len(ids) for ids, _ in batch)
    ids = torch.zeros(len(batch), width, dtype=torch.long)
    labels = torch.full((len(batch), width), -100)
    for row, (tokens, start) in enumerate(batch):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        labels[row, start : len(tokens)] = ids[row, start : len(tokens)]
    learned = labels[:, 1:] != -100
    hidden = model.model(ids).last_hidden_state[:, :-1][learned]
    return functional.cross_entropy(model.lm_head(hidden), labels[:, 1:][learned])


def _rate(step: int, steps: int, settings: Settings) -> float:
    """Share of the peak learning rate: linear warm-up, then cosine down to a fiftieth."""
    if step < settings.warmup_steps:
        return (step + 1) / settings.warmup_steps
    progress = (step - settings.warmup_steps) / max(1, steps - settings.warmup_steps)
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress))


def _save(model: LlamaForCausalLM, tokenizer: Any, output: Path, log: dict[str, Any]) -> None:
    output.mkdir(parents=True, exist_ok=True)
    # do_sample: servers that see temperature 1 as "not set" would otherwise decode greedily
    model.generation_config = GenerationConfig(
        do_sample=True, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    model.to(torch.bfloat16).save_pretrained(output)
    tokenizer.save_pretrained(output, save_jinja_files=False)  # the template inside tokenizer_config.json
    (output / "pretraining_log.json").write_text(json.dumps(log, indent=1) + "\n", encoding="utf-8")


def main(
    arguments: Sequence[str] | None = None, domain: Domain = PLAYGROUND, defaults: Settings | None = None
) -> None:
    parser = argparse.ArgumentParser(description=f"Build the tiny coder of the domain {domain.name} from nothing.")
    parser.add_argument("--output", type=Path, required=True, help="folder to write the coder to")
    for name, value in asdict(defaults or Settings()).items():
        option = "--" + name.replace("_", "-")
        parser.add_argument(option, type=type(value), default=value, help=f"default {value}")
    chosen = vars(parser.parse_args(arguments))
    output = chosen.pop("output")
    log = pretrain(output, Settings(**chosen), domain)
    print(f"saved to {output}: {log['parameters']} parameters, {log['seconds']} s")


if __name__ == "__main__":
    main()
