"""How fast does a model in this process answer: against the client of 295ad7f, and transformers' own ways?

    python benchmarks/generation.py --model FOLDER --quick --json generation.json  # 32 of each, once: about 40 minutes
    python benchmarks/generation.py --model FOLDER --json generation.json  # 64 of each, three rounds, and the texts
    python benchmarks/generation.py --model FOLDER --texts-only --json texts.json

First the model debugs MBPP tasks once (T = 0.8, one repair), which gives prompts, repair conversations and lengths of
real answers; kept in `--work`. Then every way answers the same conversations at those lengths, in turn, each time in a
process of its own with nothing kept from before: prompts are part of the time, loading is not. Texts: the same 64
prompts in batches of 1, 8 and 32; where two differ, how far the drawn token led there.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from iterpref import pipeline
from iterpref.config.load import parse_config
from iterpref.evaluation import load_benchmark
from iterpref.evaluation.benchmarks import TaskChoice
from iterpref.opened_run import OpenedRun
from iterpref.progress import ProgressBars
from iterpref.store import Store

ROOT = Path(__file__).parent.parent
TODAY = "295ad7f"
SETS = ("prompts", "repairs")
BATCHES = (1, 8, 32)
NEAR_TIE = 1e-3

Conversations = list[dict[str, Any]]


def record(options: argparse.Namespace, count: int) -> dict[str, Conversations]:
    """`count` prompts and as many repair conversations, with the lengths of the model's own answers."""
    folder = Path(os.environ.get("ITERPREF_SHARED_DATA") or ROOT.parent / "shared" / "data")
    given = options.data or folder / "benchmarks" / "mbpp.jsonl"
    path = str(given) if options.data or given.exists() else None
    config = parse_config({
        "client": {"kind": "local", "model": str(options.model)},
        "debugging": {"max_iterations": 1, "sampling": {"max_tokens": 512}},
        "sandbox": {"min_isolation": "rlimits"},
    })  # fmt: skip
    with Store.open(options.work / "recorded") as store, ProgressBars() as bars:
        tasks = load_benchmark("mbpp-full", TaskChoice(), path=path).tasks
        for number in range(count, len(tasks), count):
            store.put_tasks(tasks[:number])
            pipeline.debug(OpenedRun(store, config, bars))
            found = conversations(store, options.model)
            if min(map(len, found.values())) >= count:
                break
    return {name: rows[:count] for name, rows in found.items()}


def conversations(store: Store, model: Path) -> dict[str, Conversations]:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    found: dict[str, Conversations] = {name: [] for name in SETS}
    for asked, text in store.calls():
        kept = {name: asked[name] for name in ("messages", "sample_index")}
        kept["tokens"] = min(512, len(tokenizer(text)["input_ids"]) + 1)  # and the token that ends it
        found["repairs" if len(asked["messages"]) > 1 else "prompts"].append(kept)
    return found


def today(options: argparse.Namespace) -> Path:
    """The source of the version that is compared with."""
    folder = Path(options.work / options.today)
    if not folder.exists():
        folder.mkdir()
        packed = subprocess.run(
            ["git", "-C", ROOT, "archive", options.today, "src"], stdout=subprocess.PIPE, check=True
        )
        subprocess.run(["tar", "-x", "-C", folder], input=packed.stdout, check=True)
    return folder / "src"


def answer(options: argparse.Namespace, way: str, source: Path, batch: int, given: Conversations) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        asked, out = Path(folder) / "in.json", Path(folder) / "out.json"
        asked.write_text(json.dumps(given), encoding="utf-8")
        worker = Path(__file__).with_name("generation_worker.py")
        command = [sys.executable, worker, way, options.model, str(batch), asked, out]
        subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(source)})
        return dict(json.loads(out.read_text(encoding="utf-8")))


def speed(options: argparse.Namespace, recorded: dict[str, Conversations], rounds: int) -> dict[str, Any]:
    ours, before = ROOT / "src", today(options)
    ways = {"ours": ("client", ours), "today": ("client", before)}
    if not options.quick:
        ways |= {"generate": ("generate", ours), "continuous": ("continuous", ours)}
    found: dict[str, Any] = {}
    for name in SETS:
        runs: dict[str, list[dict[str, Any]]] = {way: [] for way in ways}
        for number in range(rounds):
            for way, (kind, source) in ways.items():
                runs[way].append(answer(options, kind, source, options.batch, recorded[name]))
                seconds, tokens = runs[way][-1]["seconds"], runs[way][-1]["answer_tokens"]
                print(f"{name} {number + 1}: {way} {tokens / seconds:.1f} tokens/s ({seconds:.0f} s)", flush=True)
        seconds = {way: statistics.median(run["seconds"] for run in made) for way, made in runs.items()}
        for way, made in runs.items():
            found[f"{name}_{way}_tokens_per_s"] = round(made[0]["answer_tokens"] / seconds[way], 1)
        found[f"{name}_tokens"] = {key: runs["ours"][0][key] for key in ("answer_tokens", "prompt_tokens")}
        found[f"ratio_{name}"] = round(seconds["today"] / seconds["ours"], 2)
        for other in ways.keys() - {"ours", "today"}:
            found[f"ratio_{name}_{other}"] = round(seconds[other] / seconds["ours"], 2)
    return found


def texts(options: argparse.Namespace, prompts: Conversations) -> dict[str, Any]:
    """How many texts are the same in batches of other sizes, and the lead of the drawn token where they part."""
    made = {batch: answer(options, "texts", ROOT / "src", batch, prompts)["rows"] for batch in BATCHES}
    parted = []
    for batch in BATCHES[1:]:
        for alone, other in zip(made[BATCHES[0]], made[batch], strict=True):
            both = enumerate(zip(alone["tokens"], other["tokens"], strict=False))
            if (place := next((i for i, (a, b) in both if a != b), None)) is not None:
                parted.append(
                    {"batch": batch, "place": place, "lead": min(alone["leads"][place], other["leads"][place])}
                )
    differing = {batch: sum(row["batch"] == batch for row in parted) for batch in BATCHES[1:]}
    return {
        "equal_texts": {batch: 1 - count / len(prompts) for batch, count in differing.items()},
        "parted": parted,
        "all_near_ties": all(row["lead"] < NEAR_TIE for row in parted),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="folder of a transformers model")
    parser.add_argument("--data", type=Path, help="mbpp.jsonl; default: the development data, else the hub")
    parser.add_argument("--work", type=Path, help="folder to keep recorded answers in; default: a temporary one")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--texts-only", action="store_true")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--today", default=TODAY, help="the revision that is compared with")
    options = parser.parse_args()
    options.model = options.model.resolve()
    with tempfile.TemporaryDirectory() as folder:
        options.work = (options.work or Path(folder)).resolve()
        options.work.mkdir(parents=True, exist_ok=True)
        recorded = record(options, 32 if options.quick else 64)
        found: dict[str, Any] = {"model": options.model.name, "batch": options.batch, "quick": options.quick}
        if not options.texts_only:
            found |= speed(options, recorded, 1 if options.quick else options.rounds)
        if options.texts_only or not options.quick:
            found |= texts(options, recorded["prompts"])
    print(json.dumps(found, indent=1))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
