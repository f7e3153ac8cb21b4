"""What did a training change? Likelihoods, margins, entropy and diversity of a model, before and after.

    python -m benchmarks.lab.why --pairs runs/a/pairs --reference playground --model runs/a/models/sft --json sft.json

Two questions, each one function. `pair_figures`: on preference pairs, the log-likelihood of the chosen and the rejected
side and of D⁺ and D⁻ in them, under the reference and under the model, and the margins that DPO and Target-DPO compare.
`answer_figures`: on tasks, what the model writes by itself: the mean entropy of its next-token distributions along
its greedy answers, how many different programs k samples hold, and pass@k. Not here: which trainings to ask about.
"""

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from iterpref.playground.coder import resolve_model
from iterpref.playground.tasks import playground_tasks
from iterpref.programs import extract_program
from iterpref.records import Prompt, Task, as_messages
from iterpref.sandbox import Job, Sandbox
from iterpref.sandbox.remote import AnySandbox
from iterpref.statistics import pass_at_k
from iterpref.training import read_pairs
from iterpref.training.encoding import check_template, encode_pair
from iterpref.training.reading import TrainingPair

PARTS = ("chosen", "added", "rejected", "removed")  # both sides whole, D⁺ and D⁻
Figures = dict[str, Any]


def pair_figures(model: Any, reference: Any, pairs: Iterable[TrainingPair], tokenizer: Any) -> Figures:
    """Means over pairs, in nats.

    Returns:
        `pairs`; per part of PARTS `tokens` (mean), and `before` (reference), `after` (model) and `change`: the mean
        over pairs of the part's summed log-likelihood; `..._per_token`: the mean over all tokens of all pairs;
        `margin` and `focal_margin`: mean, and share over 0, of log(model/reference) of the chosen side less that of
        the rejected side, or of D⁻. Pairs without a token in D⁻ (D⁺) count 0 there.
    """
    rows = [_of_pair(model, reference, pair, tokenizer) for pair in pairs]
    if not rows:
        raise ValueError("no pairs to measure")
    table = {key: torch.tensor([row[key] for row in rows], dtype=torch.float64) for key in rows[0]}
    ratios = {part: table[f"{part}/after"] - table[f"{part}/before"] for part in PARTS}
    return {
        "pairs": len(rows),
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


def _of_pair(model: Any, reference: Any, pair: TrainingPair, tokenizer: Any) -> dict[str, float]:
    """Per part its number of tokens and its log-likelihood under both models."""
    encoded = encode_pair(
        pair.prompt, pair.chosen, pair.rejected, pair.rejected_spans, tokenizer, chosen_spans=pair.chosen_spans
    )
    found: dict[str, float] = {}
    for side, focal in (("chosen", "added"), ("rejected", "removed")):
        ids, marks = getattr(encoded, f"{side}_ids"), torch.tensor(getattr(encoded, f"{side}_mask")) > 0
        found |= {f"{side}/tokens": len(ids), f"{focal}/tokens": int(marks.sum())}
        for when, network in (("before", reference), ("after", model)):
            logps = completion_logps(network, encoded.prompt_ids, ids).cpu()
            found |= {f"{side}/{when}": float(logps.sum()), f"{focal}/{when}": float(logps[marks].sum())}
    return found


@torch.no_grad()
def completion_logps(network: Any, prompt_ids: Sequence[int], ids: Sequence[int]) -> torch.Tensor:
    """(C,) log-probability of each token of a completion behind its prompt, in float32."""
    row = torch.tensor([[*prompt_ids, *ids]], device=network.device)
    logits = network(row).logits[0, len(prompt_ids) - 1 : -1].float()
    return logits.log_softmax(-1).gather(1, row[0, len(prompt_ids) :, None])[:, 0]


def answer_figures(
    model: Any,
    tokenizer: Any,
    tasks: Sequence[Task],
    sandbox: AnySandbox,
    *,
    samples: int = 16,
    temperature: float = 0.8,
    max_tokens: int = 512,
    seed: int = 0,
) -> Figures:
    """What a model writes by itself.

    Returns:
        `tasks`; `entropy`: mean over all tokens of the greedy answers, in nats, at temperature 1; `greedy_pass_at_1`;
        `distinct`: mean number of different programs among a task's samples, `distinct_passing` of those that pass;
        `pass_at_k`: k → the unbiased estimate, for k = 1, 2, 4, ... up to `samples`.
    """
    if not tasks or samples < 1:
        raise ValueError(f"got {len(tasks)} tasks and samples={samples}; expected at least one of each")
    torch.manual_seed(seed)
    entropies, greedy, distinct, passing, counts = [], [], [], [], []
    for task in tasks:
        passes = _Passes(task, sandbox)
        prompt = _prompt_ids(task.prompt, tokenizer)
        [answer] = _generate(model, tokenizer, prompt, max_new_tokens=max_tokens, do_sample=False)
        entropies.append(token_entropies(model, prompt, answer))
        greedy.append(passes(_program(answer, tokenizer, task)))
        how = {"do_sample": True, "temperature": temperature, "top_k": 0, "num_return_sequences": samples}
        drawn = _generate(model, tokenizer, prompt, max_new_tokens=max_tokens, **how)
        programs = [_program(answer, tokenizer, task) for answer in drawn]
        distinct.append(len(set(programs)))
        passing.append(sum(map(passes, set(programs))))
        counts.append(sum(map(passes, programs)))
    powers = [2**power for power in range(samples.bit_length())]
    return {
        "tasks": len(tasks),
        "entropy": float(torch.cat(entropies).mean()),
        "greedy_pass_at_1": sum(greedy) / len(tasks),
        "distinct": sum(distinct) / len(tasks),
        "distinct_passing": sum(passing) / len(tasks),
        "pass_at_k": {k: sum(pass_at_k(samples, count, k) for count in counts) / len(tasks) for k in powers},
    }


class _Passes:
    """Whether a program passes a task's tests; each program runs once."""

    def __init__(self, task: Task, sandbox: AnySandbox) -> None:
        self._task, self._sandbox = task, sandbox
        self._known = {"": False}

    def __call__(self, program: str) -> bool:
        if program not in self._known:
            self._known[program] = self._sandbox.run(Job.from_task(self._task, program)).passed
        return self._known[program]


@torch.no_grad()
def token_entropies(network: Any, prompt_ids: Sequence[int], ids: Sequence[int]) -> torch.Tensor:
    """(C,) entropy in nats of the distribution from which each token of an answer came."""
    row = torch.tensor([[*prompt_ids, *ids]], device=network.device)
    logps = network(row).logits[0, len(prompt_ids) - 1 : -1].float().log_softmax(-1)
    return -(logps.exp() * logps).sum(-1).cpu()


@torch.no_grad()
def _generate(model: Any, tokenizer: Any, prompt_ids: Sequence[int], **how: Any) -> list[list[int]]:
    """Answers up to and with their EOS."""
    row = torch.tensor([prompt_ids], device=model.device)
    end = tokenizer.eos_token_id
    padding = end if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    rows = model.generate(row, attention_mask=torch.ones_like(row), pad_token_id=padding, eos_token_id=end, **how)[
        :, len(prompt_ids) :
    ].tolist()
    return [ids[: ids.index(end) + 1] if end in ids else ids for ids in rows]


def _prompt_ids(prompt: Prompt, tokenizer: Any) -> list[int]:
    """As training encodes it: a chat model's template, else the text."""
    if isinstance(prompt, str) and not tokenizer.chat_template:
        return list(tokenizer(prompt)["input_ids"])
    check_template(tokenizer)
    turns = [message.model_dump() for message in as_messages(prompt)]
    text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def _program(ids: Sequence[int], tokenizer: Any, task: Task) -> str:
    return extract_program(tokenizer.decode(ids, skip_special_tokens=True), task.entry_point)


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
    tokenizer = AutoTokenizer.from_pretrained(resolve_model(options.reference))
    reference, model = (
        AutoModelForCausalLM.from_pretrained(resolve_model(name), dtype=torch.float32).eval()
        for name in (options.reference, options.model)
    )
    rows = read_pairs(options.pairs).to_list()[: options.limit]
    pairs = [TrainingPair.model_validate({name: row[name] for name in TrainingPair.model_fields}) for row in rows]
    found = {"model": options.model, "on_pairs": pair_figures(model, reference, pairs, tokenizer)}
    tasks = playground_tasks("held_out", options.tasks, options.seed)
    how = {"samples": options.samples, "temperature": options.temperature, "seed": options.seed}
    with Sandbox(min_isolation="rlimits") as sandbox:
        for name, network in (("answers_before", reference), ("answers_after", model)):
            found[name] = answer_figures(network, tokenizer, tasks, sandbox, **how)
    print(json.dumps(found, indent=1))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
