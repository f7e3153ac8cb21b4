"""What does trunk-and-branch training cost against other ways: TRL's DPO, the authors' masking, PrefixGrouper?

    python benchmarks/training.py --quick --json training.json  # vocabulary 8k, against trl_compact: a few minutes
    python benchmarks/training.py --json training.json --plot training.svg  # all rows, about half an hour on one core
    python benchmarks/training.py --json training.json --resume --vocabularies 32000  # a part; kept rows stay

A training step is forward, backward and optimizer (AdamW) on a batch of three pairs, references precomputed: one pair
of each of three tasks (k=1), or the three pairs of one task (k=3). All ways get the same batches and take turns; a
ratio is the median over batches of theirs / ours. Memory is the growth of a process's peak during a step, the first
with that k. Gradients are checked first. Ways: see training_ways.py; PrefixGrouper, where it is installed:
training_prefix.py; pairs: training_pairs.py; how a step is measured: training_worker.py.
"""

import argparse
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch
from training_chart import chart
from training_pairs import batch, encode, groups, recorded_file, token_ratio
from training_prefix import PREFIX_WAYS, runnable
from training_ways import WAYS, Way, authors_mask, line_difference, make_model
from training_worker import Worker, timed, workers

from iterpref.pairing import changed_spans
from iterpref.records import PreferencePair

PAIRS = 3
# Checked before anything is timed.
MAX_GRADIENT_ERROR = 1e-5
# Timed batches per row with --quick; the ratio for k=3 is far from its aim, that for k=1 is not.
QUICK_ROUNDS = {1: 2, 3: 1}
# Above this vocabulary only trunk and the first two of the other ways are run.
LARGE_VOCABULARY = 32000
# The gate runs a model of the same width with this many layers; a difference would show in any.
GATE_LAYERS = 2

Row = dict[str, Any]


def of_our_loss(options: argparse.Namespace) -> list[str]:
    """The ways whose gradient must be that of separate sequences on the product path."""
    return ["trunk", *(way for way in options.against if way in PREFIX_WAYS)]


def gradient_errors(options: argparse.Namespace) -> dict[str, float]:
    """The larger relative error of each way's whole gradient, k = 1 and 3, against separate sequences."""
    errors = dict.fromkeys(of_our_loss(options), 0.0)
    for k in (1, 3):
        separate = gradient("trunk_off", k, options)
        for way in errors:
            error = float((gradient(way, k, options) - separate).norm() / separate.norm())
            errors[way] = max(errors[way], error)
    return errors


def gradient(name: str, k: int, options: argparse.Namespace) -> torch.Tensor:
    way = Way(name, make_model(8000, options.hidden, GATE_LAYERS, options.device))
    way.backward("library", batch("library", 0, k, PAIRS))
    if name == "trunk" and way.trainer.trunk_mode is None:
        raise SystemExit(f"nothing to measure: {way.trainer.trunk_off_reason}")
    return torch.cat([parameter.grad.flatten().double() for parameter in way.model.parameters()])


def mask_times(rounds: int) -> dict[str, float]:
    """Milliseconds per pair: ours (diff, spans, both encodes, mask) once, the authors' per forward pass.

    A first pass of either is not counted: it fills the tokenizer's cache of words, as a data set's first pairs do.
    """
    pairs = [group[0] for group in groups()]

    def ours(pair: PreferencePair) -> None:
        changed_spans(pair.rejected, pair.chosen)
        encode(pair)

    def theirs(pair: PreferencePair) -> None:
        authors_mask(pair.prompt, pair.chosen, line_difference(pair.chosen, pair.rejected))
        authors_mask(pair.prompt, pair.rejected, line_difference(pair.rejected, pair.chosen))

    ways = {"ours": ours, "authors": theirs}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds + 1):
        for name, work in ways.items():
            seconds[name].append(timed(lambda work=work: [work(pair) for pair in pairs], "cpu"))
    return {name: 1000 * statistics.median(taken[1:]) / len(pairs) for name, taken in seconds.items()}


def compare(made: dict[str, Worker], vocabulary: int, source: str, k: int, pairs: int, rounds: int) -> list[Row]:
    """Rows for each way against ours: memory at the first batch, then `rounds` batches against the clock."""
    batches = [batch(source, number, k, pairs) for number in range(rounds + 1)]
    memory = {name: worker.memory(source, batches[0]) for name, worker in made.items()}
    seconds: dict[str, list[float]] = {name: [] for name in made}
    for number, members in enumerate(batches[1:]):
        for name in made if number % 2 else reversed(made):
            seconds[name].append(made[name].step(source, members))
    ratio = token_ratio(source, batches if source == "recorded" else [[*b] for b in _every(k, pairs)])
    return [
        {
            "vocabulary": vocabulary,
            "source": source,
            "k": k,
            "pairs_per_step": pairs,
            "against": name,
            "step_s": statistics.median(seconds["trunk"]),
            "their_step_s": statistics.median(seconds[name]),
            "step_ratio": statistics.median(b / a for a, b in zip(seconds["trunk"], seconds[name], strict=True)),
            "memory_gb": memory["trunk"] / 1e9,
            "their_memory_gb": memory[name] / 1e9,
            "memory_ratio": memory[name] / memory["trunk"],
            "token_ratio": ratio,
        }
        for name in made
        if name != "trunk"
    ]


def _every(k: int, pairs: int) -> list[list[tuple[int, int]]]:
    """Batches that go once through the library's groups."""
    return [batch("library", number, k, pairs) for number in range(len(groups()) * k // pairs)]


def plan(vocabulary: int, options: argparse.Namespace) -> list[tuple[str, int, int]]:
    """(source, k, pairs per step) of the rows for a vocabulary."""
    rows = [("library", k, options.pairs) for k in options.k]
    if not options.quick and vocabulary == 8000:
        rows.append(("library", 1, 1))  # nothing to pad
        if recorded_file() is not None:
            rows.append(("recorded", 0, PAIRS))  # k: as many as a run has
    return rows


def measure(options: argparse.Namespace) -> dict[str, Any]:
    started = time.monotonic()
    figures: dict[str, Any] = {"rows": [], "device": options.device, "torch": torch.__version__}
    if options.resume and options.json.exists():
        figures = json.loads(options.json.read_text())
    kept = {_key(row) for row in figures["rows"]}
    earlier = figures.get("seconds", 0)
    for vocabulary in options.vocabularies:
        others = options.against if vocabulary <= LARGE_VOCABULARY else options.against[:2]
        wanted = [row for row in plan(vocabulary, options) if {(vocabulary, *row, way) for way in others} - kept]
        if not wanted:
            continue
        with workers(("trunk", *others), options.device, vocabulary, options.hidden, options.layers) as made:
            if {*of_our_loss(options)} - figures.get("gradient_rel_errs", {}).keys():  # while the workers start
                check(figures, options)
            for source, k, pairs in wanted:
                rounds = QUICK_ROUNDS[k] if options.quick else options.rounds
                rows = compare(made, vocabulary, source, k, pairs, rounds)
                record(figures, [row for row in rows if _key(row) not in kept])
                figures["seconds"] = earlier + round(time.monotonic() - started)
                if options.json:  # after each row: a run that is stopped keeps what it has
                    options.json.write_text(json.dumps(figures, indent=1))
    return figures


def _key(row: Row) -> tuple[Any, ...]:
    return row["vocabulary"], row["source"], row["k"], row["pairs_per_step"], row["against"]


def check(figures: dict[str, Any], options: argparse.Namespace) -> None:
    """The gate, and what a mask costs."""
    errors = gradient_errors(options)
    figures |= {"gradient_rel_err": errors["trunk"], "gradient_rel_errs": errors}
    print("gradient, relative error (k=1, 3):", {way: f"{error:.1e}" for way, error in errors.items()}, flush=True)
    wrong = [way for way, error in errors.items() if error > MAX_GRADIENT_ERROR]
    if wrong and options.device == "cpu":
        raise SystemExit(
            f"gradients of {wrong} differ by more than {MAX_GRADIENT_ERROR}; nothing else is worth measuring"
        )
    masks = mask_times(3 if options.quick else 5)
    figures["mask_ratio"] = masks["authors"] / masks["ours"]
    print(f"mask, ms per pair: ours {masks['ours']:.2f}, authors {masks['authors']:.2f}", flush=True)


def record(figures: dict[str, Any], rows: list[Row]) -> None:
    figures["rows"] += rows
    for row in rows:
        print("  ".join(f"{n} {v:.3g}" if isinstance(v, float) else f"{n} {v}" for n, v in row.items()), flush=True)
        if (row["vocabulary"], row["source"], row["pairs_per_step"]) == (8000, "library", PAIRS):
            for name in ("step_ratio", "memory_ratio", "token_ratio"):
                if row["against"] == "trl_compact":
                    figures[f"{name}_k{row['k']}"] = row[name]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="Vocabulary 8k, against trl_compact only.")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--resume", action="store_true", help="Keep the rows that the file of --json holds.")
    parser.add_argument("--plot", type=Path, help="Write the ratios as a bar chart (SVG).")
    parser.add_argument("--rounds", type=int, default=2, help="Timed batches per row.")
    parser.add_argument("--k", nargs="*", type=int, default=[1, 3], choices=[1, 3], help="Rejected versions per task.")
    parser.add_argument("--pairs", type=int, default=PAIRS, help="Pairs per step.")
    parser.add_argument("--vocabularies", nargs="*", type=int, default=[8000, 32000, 152000])
    parser.add_argument("--against", nargs="*", default=list(WAYS[1:]), choices=WAYS[1:])
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    options = parser.parse_args()
    if options.resume and not options.json:
        parser.error("--resume needs --json")
    if options.quick:
        options.vocabularies, options.against = [8000], ["trl_compact"]
    options.against = runnable(options.against, options.device)
    torch.set_num_threads(1)
    figures = measure(options)
    if options.plot:
        options.plot.write_text(chart(figures["rows"]), encoding="utf-8")


if __name__ == "__main__":
    main()
