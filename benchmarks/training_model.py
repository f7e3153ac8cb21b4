"""What does a LoRA step on a real model cost: trunk and branches, without them, and TRL's DPO on the same pairs?

    python benchmarks/training_model.py --model FOLDER --pairs RUN/pairs/train.parquet --json training.json

A step is forward, backward and optimizer on `--per-step` pairs, references precomputed; pairs of one prompt stand next
to each other, as the trainer puts them. All ways get the same batches and take turns, each in a process of its own on
one thread. Time is CPU time (event time on a GPU), tokens are those of all rows, padding not counted, memory the growth
of the peak of a process during its first step. Ways: see training_ways.py; how a step is measured: training_worker.py.
"""

import argparse
import json
import os
import statistics
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from training_pairs import batch, row_tokens, token_ratio, use_tokenizer_of
from training_worker import workers

OTHERS = ("trunk_off", "trl_compact", "trl")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    source = str(options.pairs)
    use_tokenizer_of(str(options.model))
    first, *timed = [batch(source, number, 0, options.per_step) for number in range(options.rounds + 1)]
    with workers(("trunk", *options.against), options.device, options.model) as made:
        memory = {name: worker.memory(source, first) for name, worker in made.items()}
        print({name: f"{grown / 1e9:.2f} GB" for name, grown in memory.items()}, flush=True)
        seconds: dict[str, list[float]] = {name: [] for name in made}
        for number, members in enumerate(timed):
            for name in made if number % 2 else reversed(made):
                seconds[name].append(made[name].step(source, members))
            print({name: f"{taken[-1]:.1f} s" for name, taken in seconds.items()}, flush=True)
    tokens = row_tokens(source, timed)
    return {
        "model": options.model.name,
        "device": options.device,
        "pairs_per_step": options.per_step,
        "steps": options.rounds,
        "tokens_a_step": round(tokens / options.rounds),
        "token_ratio": round(token_ratio(source, timed), 2),
        "ways": {
            name: {
                "step_s": round(statistics.median(taken), 2),
                "tokens_per_s": round(tokens / sum(taken), 1),
                "memory_gb": round(memory[name] / 1e9, 2),
                "step_ratio": round(statistics.median(b / a for a, b in zip(seconds["trunk"], taken, strict=True)), 2),
                "memory_ratio": round(memory[name] / memory["trunk"], 2),
            }
            for name, taken in seconds.items()
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="folder of a transformers model with a chat template")
    parser.add_argument("--pairs", type=Path, required=True, help="a Parquet file of pairs, or a folder of them")
    parser.add_argument("--per-step", type=int, default=2, help="pairs in a batch")
    parser.add_argument("--rounds", type=int, default=4, help="timed batches")
    parser.add_argument("--against", nargs="*", default=list(OTHERS), choices=OTHERS)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = measure(options)
    print(json.dumps(found, indent=1))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
