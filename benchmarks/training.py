"""What does trunk-and-branch training cost against TRL's DPO and the authors' masking? Gradients are checked first.

    python benchmarks/training.py --json training.json          # about half an hour on one core
    python benchmarks/training.py --quick --json training.json  # vocabulary 8k, few rounds, a few minutes

Time of one training step (forward, backward, optimizer; references precomputed) on a batch of three pairs of data/: one
pair of each of three tasks (k=1), or the three pairs of one task (k=3). The ways take turns, and the median counts:
process CPU time on a CPU, event time on a GPU. Memory is the growth of the process's peak during a step, each way in a
process of its own. Ways:

    trunk        this package: FocalDPOTrainer, target_dpo
    trl_compact  TRL's DPOTrainer with the head at the positions with loss only, as it runs on a GPU
    trl          TRL's DPOTrainer as it runs here
    authors      the authors' method made anew: two sequences, full logits, and the mask made in the forward pass, by
                 encoding every prefix of lines
"""

import argparse
import ctypes
import gc
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from datasets import Dataset
from tokenizers import Tokenizer
from training_groups import FILE, train_tokenizer
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast
from trl import DPOConfig, DPOTrainer

from iterpref.pairing.spans import changed_spans
from iterpref.records import PreferencePair
from iterpref.training import FocalDPOConfig, FocalDPOTrainer
from iterpref.training.tokenization import EncodedPair, encode_pair
from iterpref.training.trunk.head import unpack_outputs
from iterpref.training.trunk.layout import TrunkLayout, plan_layout

WAYS = ("trunk", "trl_compact", "trl", "authors")
BETA = 0.1
PAIRS = 3
# Checked before anything is timed.
MAX_GRADIENT_ERROR = 1e-5
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


# --- the pairs ---


@cache
def tokenizer() -> PreTrainedTokenizerFast:
    path = Path(tempfile.gettempdir()) / f"iterpref-benchmark-tokenizer-{platform.python_version()}.json"
    if not path.exists():
        train_tokenizer().save(str(path))
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_file(str(path)), eos_token="</s>", pad_token="</s>")


@cache
def groups() -> list[list[PreferencePair]]:
    """One list of pairs per group, with the product's own diff."""
    made = []
    for line in FILE.read_text(encoding="utf-8").splitlines():
        group = json.loads(line)
        made.append([make_pair(f"{group['name']}#{n}", group, text) for n, text in enumerate(group["rejected"])])
    return made


def make_pair(pair_id: str, group: dict[str, Any], rejected: str) -> PreferencePair:
    spans = changed_spans(rejected, group["chosen"])
    return PreferencePair(
        pair_id=pair_id,
        task_id=group["name"],
        prompt=group["prompt"],
        chosen=group["chosen"],
        rejected=rejected,
        chosen_spans=spans.chosen,
        rejected_spans=spans.rejected,
        diff="lcs",
        diff_version=1,
        render_template="",
    )


def encode(pair: PreferencePair) -> EncodedPair:
    return encode_pair(pair.prompt, pair.chosen, pair.rejected, pair.rejected_spans, tokenizer())


@cache
def encode_once(number: int) -> list[dict[str, Any]]:
    """The examples of one group as a trainer's dataset holds them: encoded before training, with reference values."""
    names = ("prompt_ids", "chosen_ids", "rejected_ids", "rejected_mask")
    encoded = [{name: getattr(encode(pair), name) for name in names} for pair in groups()[number]]
    encoded = [row | {"chosen_mask": [1] * len(row["chosen_ids"])} for row in encoded]
    return [row | {"ref_chosen_logps": -100.0, "ref_rejected_logps": -10.0} for row in encoded]


# --- the ways ---


def make_model(vocabulary: int, hidden: int, layers: int, dtype: torch.dtype, device: str) -> Any:
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
    return AutoModelForCausalLM.from_config(config, attn_implementation="sdpa").to(device, dtype)


class Prepared:
    """A trainer whose one example is there to construct it with; the batches come from this file."""

    def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
        return dataset

    def _precompute_ref_logps(self, dataset: Dataset, *_: Any) -> Dataset:
        return dataset


class Focal(Prepared, FocalDPOTrainer):
    pass


class Plain(Prepared, DPOTrainer):
    pass


def batch_members(number: int, k: int) -> list[tuple[int, int]]:
    """(group, pair in it) of a batch of three pairs: k of each of 3 / k groups."""
    first = number * (PAIRS // k)
    return [((first + at // k) % len(groups()), at % k) for at in range(PAIRS)]


class Way:
    """One way of training: `step(number, k)` does a whole optimizer step on batch `number`."""

    def __init__(self, name: str, model: Any, attention: str = "auto") -> None:
        self.name = name
        first = encode_once(0)[:1]
        settings = SETTINGS | {"use_cpu": model.device.type == "cpu", "bf16": model.dtype == torch.bfloat16}
        if name == "trunk":
            args: Any = FocalDPOConfig(**settings, method="target_dpo", trunk_attention=attention)
        else:
            args = DPOConfig(**settings)
        kind = Focal if name == "trunk" else Plain
        self.trainer = kind(model, args=args, train_dataset=Dataset.from_list(first), processing_class=tokenizer())
        self.trainer.current_gradient_accumulation_steps = 1  # Trainer.train sets it
        self.model = self.trainer.model.train()
        if name == "trl_compact":
            CompactHead(self.model)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-6, fused=True)

    def backward(self, number: int, k: int) -> None:
        members = batch_members(number, k)
        if self.name == "authors":
            authors_loss(self.model, [groups()[group][at] for group, at in members]).backward()
        else:
            batch = self.trainer.data_collator([encode_once(group)[at] for group, at in members])
            self.trainer.training_step(self.model, batch)

    def step(self, number: int, k: int) -> None:
        self.backward(number, k)
        self.optimizer.step()
        self.optimizer.zero_grad()


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
            wrong = line_difference(text, other) if name == "rejected" else set(range(text.count("\n") + 1))
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


# --- what is measured ---


def gradient_error(options: argparse.Namespace) -> float:
    """The larger relative error of the whole gradient, k = 1 and 3, against separate sequences on the product path."""
    errors = []
    for k in (1, 3):
        found = []
        for attention in ("off", "auto"):
            way = Way("trunk", build(8000, options), attention)
            way.backward(0, k)
            found.append(torch.cat([p.grad.flatten().double() for p in way.model.parameters()]))
        errors.append(float((found[1] - found[0]).norm() / found[0].norm()))
    return max(errors)


def token_ratio(k: int) -> float:
    """Padded rows' tokens of TRL over the tokens of trunk and branches."""
    padded = packed = 0
    for group in groups():
        encoded = [encode(pair) for pair in group[:k]]
        chosen = [e.prompt_ids + e.chosen_ids for e in encoded]
        rejected = [e.prompt_ids + e.rejected_ids for e in encoded]
        loss = [[0] * len(e.prompt_ids) + [1] * len(e.chosen_ids) for e in encoded]
        loss += [[0] * len(e.prompt_ids) + e.rejected_mask for e in encoded]
        packed += plan_layout(chosen + rejected, loss, max(map(len, chosen + rejected))).tokens
        padded += sum(map(len, chosen + rejected))
    return padded / packed


def step_times(
    vocabulary: int, k: int, ways: tuple[str, ...], rounds: int, options: argparse.Namespace
) -> dict[str, float]:
    """Median seconds per step; all ways do a group before the next round begins with another."""
    made = {name: Way(name, build(vocabulary, options)) for name in ways}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name in ways if number % 2 else reversed(ways):
            seconds = timed(lambda way=made[name], number=number: way.step(number, k), options.device)
            if number:  # the first round warms up
                times[name].append(seconds)
    return {name: statistics.median(values) for name, values in times.items()}


def timed(work: Callable[[], None], device: str) -> float:
    if device == "cpu":
        start = time.process_time()
        work()
        return time.process_time() - start
    start_event, end_event = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start_event.record()
    work()
    end_event.record()
    torch.cuda.synchronize()
    return float(start_event.elapsed_time(end_event)) / 1000


def memory_growth(way: str, vocabulary: int, k: int, options: argparse.Namespace) -> int:
    """Bytes by which a step's peak exceeds what stood before it; in a fresh process on a CPU."""
    if options.device == "cpu":
        command = [sys.executable, __file__, "--worker", way, str(vocabulary), str(k)]
        shape = ["--hidden", str(options.hidden), "--layers", str(options.layers)]
        done = subprocess.run([*command, *shape], check=True, capture_output=True, text=True)
        return int(done.stdout.split()[-1])
    made = Way(way, build(vocabulary, options))
    made.step(0, 1)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    made.step(0, k)
    return int(torch.cuda.max_memory_allocated() - before)


def worker(way: str, vocabulary: int, k: int, options: argparse.Namespace) -> None:
    made = Way(way, build(vocabulary, options))
    for parameter in made.model.parameters():  # gradients and optimizer states are no matter of the way
        parameter.grad = torch.zeros_like(parameter)
    made.optimizer.step()
    if made.name == "trunk":
        made.trainer.trunk_mode = "split"  # its check at the start isn't part of a step
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak (proc(5))
    before = status_bytes("VmRSS")
    made.step(0, k)
    print(status_bytes("VmHWM") - before)


def status_bytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name + ":"))


def mask_times() -> dict[str, float]:
    """Milliseconds per pair: ours (diff, spans, both encodes, mask) once, the authors' per forward pass."""
    pairs = [pair for group in groups() for pair in group]

    def ours(pair: PreferencePair) -> None:
        spans = changed_spans(pair.rejected, pair.chosen)
        encode_pair(pair.prompt, pair.chosen, pair.rejected, spans.rejected, tokenizer())

    def theirs(pair: PreferencePair) -> None:
        authors_mask(pair.prompt, pair.chosen, line_difference(pair.chosen, pair.rejected))
        authors_mask(pair.prompt, pair.rejected, line_difference(pair.rejected, pair.chosen))

    result = {}
    for name, work in (("ours", ours), ("authors", theirs)):
        rounds = [timed(lambda work=work: [work(pair) for pair in pairs], "cpu") for _ in range(3)]
        result[name] = 1000 * statistics.median(rounds) / len(pairs)
    return result


def build(vocabulary: int, options: argparse.Namespace) -> Any:
    dtype = torch.float32 if options.device == "cpu" else torch.bfloat16
    return make_model(vocabulary, options.hidden, options.layers, dtype, options.device)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="Vocabulary 8k, two ways, three rounds.")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path, help="Write the ratios as a bar chart (SVG).")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--vocabularies", nargs="*", type=int, default=[8000, 32000, 152000])
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--worker", nargs=3, metavar=("WAY", "VOCABULARY", "K"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.worker:
        way, vocabulary, k = options.worker
        worker(way, int(vocabulary), int(k), options)
        return
    figures = measure(options)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))
    if options.plot:
        options.plot.write_text(chart(figures["rows"]), encoding="utf-8")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    error = gradient_error(options)
    print(f"gradient, relative error (k=1, 3): {error:.1e}", flush=True)
    if error > MAX_GRADIENT_ERROR:
        raise SystemExit(f"the gradients differ by more than {MAX_GRADIENT_ERROR}; nothing else is worth measuring")
    figures: dict[str, Any] = {"gradient_rel_err": error}
    masks = mask_times()
    figures["mask_ratio"] = masks["authors"] / masks["ours"]
    print(
        f"mask, ms per pair: ours {masks['ours']:.2f}, authors {masks['authors']:.2f} ({figures['mask_ratio']:.1f}x)",
        flush=True,
    )
    rows = []
    for vocabulary in [8000] if options.quick else options.vocabularies:
        for k in (1, 3):
            ways = WAYS[:2] if options.quick or vocabulary > 32000 else WAYS
            rounds = min(3, options.rounds) if options.quick or vocabulary > 32000 else options.rounds
            seconds = step_times(vocabulary, k, ways, rounds, options)
            memory = {way: memory_growth(way, vocabulary, k, options) for way in ways}
            for way in ways[1:]:
                row = {
                    "vocabulary": vocabulary,
                    "k": k,
                    "against": way,
                    "step_s": seconds["trunk"],
                    "their_step_s": seconds[way],
                    "step_ratio": seconds[way] / seconds["trunk"],
                    "memory_ratio": memory[way] / memory["trunk"],
                    "token_ratio": token_ratio(k),
                }
                rows.append(row)
                print(
                    "  ".join(f"{n} {v:.3g}" if isinstance(v, float) else f"{n} {v}" for n, v in row.items()),
                    flush=True,
                )
                if vocabulary == 8000 and way == "trl_compact":
                    for name in ("step_ratio", "memory_ratio", "token_ratio"):
                        figures[f"{name}_k{k}"] = row[name]
    return figures | {"rows": rows, "device": options.device, "torch": torch.__version__}


def chart(rows: list[dict[str, Any]]) -> str:
    """Step-time ratios as bars, one per row of figures."""
    height, scale = 22, 60
    parts = []
    for number, row in enumerate(rows):
        y = 10 + number * height
        width = row["step_ratio"] * scale
        label = f"{row['against']}, vocabulary {row['vocabulary'] // 1000}k, k={row['k']}"
        parts.append(f'<text x="0" y="{y + 13}">{label}</text><rect x="240" y="{y}" width="{width:.0f}" height="16"/>')
        parts.append(f'<text x="{246 + width:.0f}" y="{y + 13}">{row["step_ratio"]:.2f}x</text>')
    style = "<style>text{font:12px sans-serif;fill:#333}rect{fill:#3b6ea8}</style>"
    size = f'width="960" height="{20 + len(rows) * height}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{style}{"".join(parts)}</svg>\n'


if __name__ == "__main__":
    main()
