"""The ways of training that benchmarks/training.py compares, each with the same model, batch and optimizer.

trunk        this package: FocalDPOTrainer, target_dpo
trunk_off    the same with every row run by itself (training_model.py)
trl_compact  TRL's DPOTrainer with the head at the positions with loss only, as it runs on a GPU
trl_tiled    the same with this package's tiles in the head, which TRL could have too
trl          TRL's DPOTrainer as it runs here
authors      the authors' method made anew: two sequences, full logits, and the mask made in the forward pass, by
             encoding every prefix of lines
prefix_grouper  trunk_off's loss by PrefixGrouper, with SDPA, and the head as trunk has it (training_prefix.py)
prefix_once  the same with each different completion of a prompt once
"""

import tempfile
from typing import Any

import torch
import trl.trainer.utils
from accelerate.utils import send_to_device
from datasets import Dataset
from training_pairs import encode_once, groups, tokenizer
from training_prefix import PREFIX_WAYS, GroupedPrompts
from transformers import AutoModelForCausalLM, LlamaConfig
from trl import DPOConfig, DPOTrainer

from iterpref.records import PreferencePair
from iterpref.training import FocalDPOConfig, FocalDPOTrainer
from iterpref.training.trunk.install import CPU_TILE, unpack_outputs
from iterpref.training.trunk.layout import TrunkLayout

WAYS = ("trunk", "trl_compact", "trl_tiled", "trl", "authors", *PREFIX_WAYS)
FOCAL = ("trunk", "trunk_off", *PREFIX_WAYS)
ADAPTER = {"use_peft": True, "lora_r": 16, "lora_alpha": 32, "lora_target_modules": "all-linear"}  # the recipes'
BETA = 0.1
SETTINGS = {
    "output_dir": tempfile.gettempdir(),
    "beta": BETA,
    "max_length": 2048,
    "learning_rate": 1e-6,
    "per_device_train_batch_size": 1,
    "gradient_checkpointing": False,
    "precompute_ref_log_probs": True,
    "report_to": "none",
    "save_strategy": "no",
    "disable_tqdm": True,
    "dataloader_pin_memory": False,
}

Members = list[tuple[int, int]]


def make_model(vocabulary: int, hidden: int, layers: int, device: str) -> Any:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=hidden * 8 // 3,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 64,
        num_key_value_heads=hidden // 64,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
    )
    dtype = torch.float32 if device == "cpu" else torch.bfloat16
    return AutoModelForCausalLM.from_config(config, attn_implementation="sdpa").to(device, dtype)


def load_model(folder: str, device: str) -> Any:
    dtype = torch.float32 if device == "cpu" else torch.bfloat16
    return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="sdpa").to(device)


class Prepared:
    """A trainer whose one example is there to construct it with; the batches come from training_pairs.py."""

    def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
        return dataset

    def _precompute_ref_logps(self, dataset: Dataset, *_: Any) -> Dataset:
        return dataset


class Focal(Prepared, FocalDPOTrainer):
    pass


class Plain(Prepared, DPOTrainer):
    pass


class Way:
    """One way of training: `step` does a whole optimizer step on a batch."""

    def __init__(self, name: str, model: Any, adapter: Any = None) -> None:
        self.name = name
        first = encode_once("library", 0)[:1]
        settings = SETTINGS | {"use_cpu": model.device.type == "cpu", "bf16": model.dtype == torch.bfloat16}
        if name in FOCAL:
            attention = "auto" if name == "trunk" else "off"
            args: Any = FocalDPOConfig(**settings, method="target_dpo", trunk_attention=attention)
        else:
            args = DPOConfig(**settings)
        kind = Focal if name in FOCAL else Plain
        self.trainer = kind(model, args=args, train_dataset=Dataset.from_list(first), processing_class=tokenizer(),
                            peft_config=adapter)  # fmt: skip
        self.trainer.current_gradient_accumulation_steps = 1  # Trainer.train sets it
        self.model = self.trainer.model.train()
        network = self.model.get_base_model() if adapter else self.model
        if name in ("trl_compact", "trl_tiled"):
            CompactHead(network)
        if name in PREFIX_WAYS:
            GroupedPrompts(network, once=name == "prefix_once")
        if name in ("trl_tiled", *PREFIX_WAYS):  # for good: each way has a process of its own
            trl.trainer.utils._CHUNKED_LOGPROB_CHUNK_SIZE = CPU_TILE
        learned = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.AdamW(learned, lr=1e-6, fused=True)

    def backward(self, source: str, members: Members) -> None:
        if self.name == "authors":
            authors_loss(self.model, [groups(source)[group][at] for group, at in members]).backward()
        else:
            inputs = self.trainer.data_collator([encode_once(source, group)[at] for group, at in members])
            # As a data loader does: the trunk's layout moves, too.
            self.trainer.training_step(self.model, send_to_device(inputs, self.model.device))

    def step(self, source: str, members: Members) -> None:
        self.backward(source, members)
        self.optimizer.step()
        self.optimizer.zero_grad()

    def warm_up(self) -> None:
        """A step on a short pair: makes the optimizer's state, loads libraries, and lets `auto` choose."""
        self.step("tiny", [(0, 0)])


class CompactHead:
    """TRL's head at the positions with loss only, which TRL itself does on GPUs only."""

    def __init__(self, model: Any) -> None:
        self.at = torch.empty(0)
        model.register_forward_pre_hook(self.before, with_kwargs=True)
        model.base_model.register_forward_hook(self.pick)
        model.register_forward_hook(self.after)

    def before(self, module: Any, args: Any, kwargs: Any) -> Any:
        labels = kwargs.pop("labels")[:, 1:]
        self.at = (labels != -100).flatten().nonzero()[:, 0]
        self.shape = labels.shape
        return args, kwargs | {"shift_labels": labels.flatten()[self.at][None]}

    def pick(self, module: Any, args: Any, outputs: Any) -> Any:
        hidden = outputs.last_hidden_state[:, :-1]
        outputs.last_hidden_state = hidden.reshape(-1, hidden.shape[-1]).index_select(0, self.at)[None]
        return outputs

    def after(self, module: Any, args: Any, outputs: Any) -> Any:
        rows, width = self.shape
        none = torch.empty(0)
        every = torch.arange(len(self.at), device=self.at.device)
        layout = TrunkLayout(none, none, (), none, none, every, self.at, rows, width, 0)
        return unpack_outputs(outputs, layout)


def authors_mask(prompt: str, completion: str, wrong: set[int]) -> list[int]:
    """0/1 per token of prompt + completion; a line's tokens are found by encoding the text up to its start and end."""
    encode_text = tokenizer().encode
    lines = completion.splitlines(keepends=True)
    total = len(encode_text(prompt + completion))
    mask = [0] * total
    text = prompt
    for number, line in enumerate(lines):
        start = len(encode_text(text))
        text += line
        stop = len(encode_text(text))
        if number in wrong:
            mask[start:stop] = [1] * len(mask[start:stop])
    return mask


def line_difference(one: str, other: str) -> set[int]:
    """Lines of `one` off the longest common subsequence of lines, by the textbook table."""
    a, b = one.splitlines(), other.splitlines()
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            table[i + 1][j + 1] = table[i][j] + 1 if x == y else max(table[i][j + 1], table[i + 1][j])
    off, i, j = set(), len(a), len(b)
    while i:
        if j and a[i - 1] == b[j - 1]:
            i, j = i - 1, j - 1
        elif j and table[i][j - 1] >= table[i - 1][j]:
            j -= 1
        else:
            i -= 1
            off.add(i)
    return off


def authors_loss(model: Any, pairs: list[PreferencePair]) -> torch.Tensor:
    """Masks made here, in every forward pass; then both rows of every pair with full logits."""
    sides = []
    for name in ("chosen", "rejected"):
        for pair in pairs:
            text, other = (pair.chosen, pair.rejected) if name == "chosen" else (pair.rejected, pair.chosen)
            differing = line_difference(text, other)
            wrong = differing if name == "rejected" else set(range(text.count("\n") + 1))
            sides.append((tokenizer().encode(pair.prompt + text), authors_mask(pair.prompt, text, wrong)))
    width = max(len(ids) for ids, _ in sides)
    ids, mask, attention = (torch.zeros(len(sides), width, dtype=torch.long) for _ in range(3))
    for row, (tokens, focal) in enumerate(sides):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        mask[row, : len(focal)] = torch.tensor(focal)
        attention[row, : len(tokens)] = 1
    ids, mask, attention = (x.to(model.device) for x in (ids, mask, attention))
    logits = model(input_ids=ids, attention_mask=attention, use_cache=False).logits[:, :-1].float()
    logps = logits.log_softmax(-1).gather(2, ids[:, 1:, None])[..., 0] * mask[:, 1:]
    chosen, rejected = logps.sum(1).chunk(2)
    return -torch.nn.functional.logsigmoid(BETA * ((chosen + 100) - (rejected + 10))).mean()
