"""What did a training change? Likelihoods, margins, entropy and diversity of a model, before and after.

    python -m benchmarks.lab.why --pairs runs/a/pairs --reference playground --model runs/a/models/sft --json sft.json

Two questions, each one function. `pair_figures`: on preference pairs, the log-likelihood of the chosen and the rejected
side and of D⁺ and D⁻ in them, under the reference and under the model, and the margins that DPO and Target-DPO compare.
`answer_figures`: of what the model wrote by itself for tasks, greedily and drawn, the mean entropy of its next-token
distributions, how many different programs k samples hold, and pass@k. Not here: which trainings
are compared (reasons/).
"""

import argparse
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from iterpref.config import Config
from iterpref.config.load import load_config
from iterpref.demo import CONFIG
from iterpref.playground.coder import resolve_model
from iterpref.playground.tasks import playground_tasks
from iterpref.records import Prompt, Result, Task, as_messages
from iterpref.statistics import pass_at_k
from iterpref.training import read_pairs
from iterpref.training.encoding import check_template, encode_pair
from iterpref.training.reading import TrainingPair

from .cells import EVALUATION, score

PARTS = ("chosen", "added", "rejected", "removed")  # both sides whole, D⁺ and D⁻
BATCH_TOKENS = 2048  # of rows that a network reads at once
Figures = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """Token ids of a prompt and of a completion behind it."""

    prompt_ids: Sequence[int]
    ids: Sequence[int]

    @property
    def all_ids(self) -> list[int]:
        return [*self.prompt_ids, *self.ids]


def load_network(model: str | Path) -> Any:
    """A causal model in float32, and not in training."""
    return AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()


def pair_figures(model: Any, reference: Any, pairs: Iterable[TrainingPair], tokenizer: Any) -> Figures:
    """Means over pairs, in nats.

    Returns:
        `pairs`; per part of PARTS `tokens` (mean), and `before` (reference), `after` (model) and `change`: the mean
        over pairs of the part's summed log-likelihood; `..._per_token`: the mean over all tokens of all pairs;
        `margin` and `focal_margin`: mean, and share over 0, of log(model/reference) of the chosen side less that of
        the rejected side, or of D⁻. Pairs without a token in D⁻ (D⁺) count 0 there.
    """
    encoded = [
        encode_pair(p.prompt, p.chosen, p.rejected, p.rejected_spans, tokenizer, chosen_spans=p.chosen_spans)
        for p in pairs
    ]
    if not encoded:
        raise ValueError("no pairs to measure")
    table: dict[str, torch.Tensor] = {}
    for side, focal in (("chosen", "added"), ("rejected", "removed")):
        rows = [Row(pair.prompt_ids, getattr(pair, f"{side}_ids")) for pair in encoded]
        focus = [torch.tensor(getattr(pair, f"{side}_mask"), dtype=torch.float64) for pair in encoded]
        marks = {side: [torch.ones_like(mask) for mask in focus], focal: focus}
        logps = {"before": completion_logps(reference, rows), "after": completion_logps(model, rows)}
        for part, masks in marks.items():
            table[f"{part}/tokens"] = torch.stack([mask.sum() for mask in masks])
            for when, values in logps.items():
                sums = [mask @ value.double() for mask, value in zip(masks, values, strict=True)]
                table[f"{part}/{when}"] = torch.stack(sums)
    ratios = {part: table[f"{part}/after"] - table[f"{part}/before"] for part in PARTS}
    return {
        "pairs": len(encoded),
        **{part: _of_part(table, part) for part in PARTS},
        "margin": _of_margin(ratios["chosen"] - ratios["rejected"]),
        "focal_margin": _of_margin(ratios["chosen"] - ratios["removed"]),
    }


def _of_part(table: Mapping[str, torch.Tensor], part: str) -> Figures:
    tokens, before, after = (table[f"{part}/{name}"] for name in ("tokens", "before", "after"))
    total = max(float(tokens.sum()), 1.0)
    figures = {"before": before, "after": after, "change": after - before}
    return (
        {"tokens": float(tokens.mean())}
        | {name: float(values.mean()) for name, values in figures.items()}
        | {f"{name}_per_token": float(values.sum()) / total for name, values in figures.items()}
    )


def _of_margin(values: torch.Tensor) -> Figures:
    return {"mean": float(values.mean()), "positive": float((values > 0).double().mean())}


@torch.no_grad()
def completion_logps(network: Any, rows: Sequence[Row]) -> list[torch.Tensor]:
    """Of each row (C,): the log-probability of each token of its completion, in float32."""
    found = {}
    for at, logps in _distributions(network, rows):
        ids = torch.tensor(rows[at].ids, device=logps.device)
        found[at] = logps.gather(-1, ids[:, None])[:, 0].cpu()
    return [found[at] for at in range(len(rows))]


@torch.no_grad()
def token_entropies(network: Any, rows: Sequence[Row]) -> list[torch.Tensor]:
    """Of each row (C,): the entropy in nats of the distribution from which each token of its completion came."""
    found = {at: -(logps.exp() * logps).sum(-1).cpu() for at, logps in _distributions(network, rows)}
    return [found[at] for at in range(len(rows))]


def _distributions(network: Any, rows: Sequence[Row]) -> Iterator[tuple[int, torch.Tensor]]:
    """(number of the row, (C, V) log-probabilities at its completion), in batches of rows of about one length.

    Padding is on the right, where no token of a causal model sees it, so that there is nothing to mask.
    """
    for batch in _batches([len(row.all_ids) for row in rows]):
        widest = max(len(rows[at].all_ids) for at in batch)
        ids = [row + [0] * (widest - len(row)) for row in (rows[at].all_ids for at in batch)]
        logits = network(torch.tensor(ids, device=network.device)).logits
        for place, at in enumerate(batch):
            start, stop = len(rows[at].prompt_ids), len(rows[at].all_ids)
            yield at, logits[place, start - 1 : stop - 1].float().log_softmax(-1)


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Numbers of rows, the short ones first, in batches that hold `BATCH_TOKENS` at most, or one row."""
    batch: list[int] = []
    for at in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and lengths[at] * (len(batch) + 1) > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(at)
    if batch:
        yield batch


def answer_figures(network: Any, tokenizer: Any, tasks: Sequence[Task], greedy: Result, drawn: Result) -> Figures:
    """What a model writes by itself.

    Args:
        greedy, drawn: Its answers to these tasks: one of each task, and samples of each.

    Returns:
        `tasks`; `entropy`: mean over all tokens of the greedy answers, in nats, at temperature 1; `greedy_pass_at_1`;
        `distinct`: mean number of different programs among a task's samples, `distinct_passing` of those that pass;
        `pass_at_k`: k → the unbiased estimate, for k = 1, 2, 4, ... up to the number of samples; `passing`: the number
        of samples of each task that pass.
    """
    prompts = {task.task_id: task.prompt for task in tasks}
    rows = [
        Row(_prompt_ids(prompts[s.task_id], tokenizer), _answer_ids(s.completion, tokenizer)) for s in greedy.samples
    ]
    programs: dict[str, list[tuple[str, bool]]] = {}
    for sample in drawn.samples:
        programs.setdefault(sample.task_id, []).append((sample.program, sample.execution.passed))
    count, samples = len(programs), len(next(iter(programs.values())))
    passing = [sum(passed for _, passed in found) for found in programs.values()]
    different = [dict(found) for found in programs.values()]
    return {
        "tasks": count,
        "entropy": float(torch.cat(token_entropies(network, rows)).mean()),
        "greedy_pass_at_1": sum(s.execution.passed for s in greedy.samples) / len(greedy.samples),
        "distinct": sum(map(len, different)) / count,
        "distinct_passing": sum(sum(found.values()) for found in different) / count,
        "pass_at_k": {str(k): sum(pass_at_k(samples, n, k) for n in passing) / count for k in powers(samples)},
        "passing": passing,
    }


def powers(samples: int) -> list[int]:
    """1, 2, 4, ... up to the number of samples."""
    return [2**power for power in range(samples.bit_length())]


def draws(
    model: Path, name: str, tasks: list[Task], config: Config, folder: Path, samples: int, temperature: float
) -> Result:
    """So many answers of a model to each task, run in a sandbox."""
    if not tasks or samples < 1 or temperature <= 0:
        raise ValueError(f"got {len(tasks)} tasks, samples={samples} and temperature={temperature}; expected one task "
                         "and one sample or more, and a temperature over 0")  # fmt: skip
    asked = {"samples": samples, "sampling": {**EVALUATION, "temperature": temperature}}
    return score(model, name, tasks, config, folder, asked)


def _prompt_ids(prompt: Prompt, tokenizer: Any) -> list[int]:
    """As training encodes it: a chat model's template, else the text."""
    if isinstance(prompt, str) and not tokenizer.chat_template:
        return list(tokenizer(prompt)["input_ids"])
    check_template(tokenizer)
    turns = [message.model_dump() for message in as_messages(prompt)]
    text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def _answer_ids(completion: str, tokenizer: Any) -> list[int]:
    return [*tokenizer(completion, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=Path, required=True, help="A run's pairs/.")
    parser.add_argument("--reference", default="playground", help="The model before training.")
    parser.add_argument("--model", required=True, help="The trained one.")
    parser.add_argument("--limit", type=int, default=200, help="Only the first so many pairs.")
    parser.add_argument("--tasks", type=int, default=50, help="Playground tasks held out.")
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--temperature", type=float, default=0.8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    models = [str(resolve_model(name)) for name in (options.reference, options.model)]
    tokenizer, networks = AutoTokenizer.from_pretrained(models[0]), [load_network(model) for model in models]
    rows = read_pairs(options.pairs).to_list()[: options.limit]
    pairs = [TrainingPair.model_validate({name: row[name] for name in TrainingPair.model_fields}) for row in rows]
    found = {"model": options.model, "on_pairs": pair_figures(networks[1], networks[0], pairs, tokenizer)}
    tasks = playground_tasks("held_out", options.tasks, options.seed)
    config = load_config(base={"seed": options.seed, "sandbox": CONFIG["sandbox"]})
    for when, model, network in zip(("before", "after"), models, networks, strict=True):
        with tempfile.TemporaryDirectory() as work:
            asked = (Path(model), "held out", tasks, config, Path(work))
            greedy, drawn = score(*asked), draws(*asked, options.samples, options.temperature)
        found[f"answers_{when}"] = answer_figures(network, tokenizer, tasks, greedy, drawn)
    print(json.dumps(found, indent=1))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
