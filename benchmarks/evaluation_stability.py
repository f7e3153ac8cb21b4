"""Do verdicts change from run to run, on an idle machine and on a busy one?

    python benchmarks/evaluation_stability.py --data FOLDER --json out.json [--runs 3] [--limit 300]

Scores the recorded completions of `samples_greedy_mixed.jsonl.gz` on HumanEval+ and MBPP+ several times, always anew:
`idle`, then `busy` with as many endless loops beside it as there are workers. A program that runs out of time is run
once more after all others, as in every evaluation. FOLDER is that of `evaluation.py`.
"""

import argparse
import asyncio
import collections
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evaluation import FILES, WORKERS, recorded
from iterpref.config import EvaluationConfig
from iterpref.evaluation.answers import Answer
from iterpref.evaluation.benchmarks import Benchmark, load_benchmark
from iterpref.evaluation.evaluate import evaluate
from iterpref.records import Task
from iterpref.sandbox import Sandbox
from iterpref.store import Store

Verdicts = dict[tuple[str, str, int], str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--runs", type=int, default=3, help="of each kind")
    parser.add_argument("--limit", type=int, help="only about so many completions of each benchmark, evenly spaced")
    parser.add_argument("--benchmarks", nargs="*", choices=list(FILES), default=list(FILES))
    options = parser.parse_args()
    runs: dict[str, Verdicts] = {}
    seconds = {}
    for kind, number in itertools.product(("idle", "busy"), range(1, options.runs + 1)):
        started = time.monotonic()
        with load(WORKERS if kind == "busy" else 0):
            runs[f"{kind} {number}"] = score(options)
        seconds[f"{kind} {number}"] = round(time.monotonic() - started, 1)
        print(kind, number, collections.Counter(runs[f"{kind} {number}"].values()), file=sys.stderr, flush=True)
    found = changes(runs) | {"seconds": seconds, "load_at_end": os.getloadavg()}
    print(json.dumps(found, indent=1))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def changes(runs: dict[str, Verdicts]) -> dict[str, object]:
    """Samples whose verdicts differ between any two runs; a right program that fails once is the worst of them."""
    keys = list(next(iter(runs.values())))
    seen = {key: [verdicts[key] for verdicts in runs.values()] for key in keys}
    changed = {key: verdicts for key, verdicts in seen.items() if len(set(verdicts)) > 1}
    flips = [key for key, verdicts in changed.items() if "passed" in verdicts and "failed" in verdicts]
    return {
        "runs": list(runs),
        "samples": len(keys),
        "passed_failed_changes": len(flips),
        "changed": len(changed),
        "changed_share": round(len(changed) / len(keys), 6),
        "timeouts": {name: sum(v == "timeout" for v in verdicts.values()) for name, verdicts in runs.items()},
        "changes": [{"sample": " ".join(map(str, key)), "verdicts": verdicts} for key, verdicts in changed.items()],
    }


class Programs:
    """Recorded programs as answers; several a task."""

    name = "recorded"
    protocol = "recorded"

    def __init__(self, by_task: dict[str, list[str]]) -> None:
        self._by_task = by_task

    def count(self, task: Task) -> int:
        return len(self._by_task[task.task_id])

    async def answer(self, task: Task, index: int) -> Answer:
        program = self._by_task[task.task_id][index]
        return Answer(program, program)


def score(options: argparse.Namespace) -> Verdicts:
    """(benchmark, task, number) → verdict, in a store and a sandbox of their own."""
    verdicts: Verdicts = {}
    for name in options.benchmarks:
        by_task: dict[str, list[str]] = collections.defaultdict(list)
        rows = [row for _, rows, _ in recorded(options.data, name, None) for row in rows]
        for row in rows[:: max(1, len(rows) // options.limit)] if options.limit else rows:
            by_task[row["task_id"]].append(row["solution"])
        with tempfile.TemporaryDirectory() as folder, Sandbox(WORKERS) as sandbox, Store.open(folder) as store:
            data = str(options.data / FILES[name])
            found = load_benchmark(name, path=data, sandbox=lambda opened=sandbox: opened)  # type: ignore[misc]
            tasks = [task for task in found.tasks if task.task_id in by_task]
            benchmark = Benchmark(name, tasks, found.family)
            settings = EvaluationConfig(benchmark=name, path=data)
            result = asyncio.run(evaluate(benchmark, Programs(by_task), sandbox, store, settings))
        verdicts |= {(name, s.task_id, s.sample_index): s.execution.verdict for s in result.samples}
    return verdicts


@contextmanager
def load(processes: int) -> Iterator[None]:
    """Keep so many cores busy."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
