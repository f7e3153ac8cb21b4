"""Do verdicts change from run to run, on an idle machine and on a busy one?

    python benchmarks/evaluation_stability.py --data FOLDER --json out.json [--runs 3] [--limit 300] [--work FOLDER]

Scores the recorded completions of `samples_greedy_mixed.jsonl.gz` on HumanEval+, MBPP+ and MBPP several times, anew:
`idle`, then `busy` with as many endless loops beside it as there are workers. A program that runs out of time is run
once more after all others, as in every evaluation. FOLDER is that of `evaluation.py`. Each run stays in `--work`,
so that the runs of a kind can wait for a machine that is idle, or busy, enough (`--kinds`).
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
from iterpref.config import Config, EvaluationConfig
from iterpref.evaluation import Answer, Benchmark, evaluate, load_benchmark
from iterpref.evaluation.benchmarks.releases import read_file
from iterpref.records import Task
from iterpref.sandbox import Sandbox
from iterpref.store import Store

KINDS = ["idle", "busy"]
# What EvalPlus lacks of MBPP is judged by MBPP's own asserts.
SOURCES = FILES | {"mbpp-full": "mbpp.jsonl"}
Verdicts = dict[tuple[str, str, int], str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--runs", type=int, default=3, help="of each kind")
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=KINDS, help="what to run; the rest only if it was")
    parser.add_argument("--work", type=Path, help="folder to keep each run's verdicts in")
    parser.add_argument("--limit", type=int, help="only about so many completions of each benchmark, evenly spaced")
    parser.add_argument("--benchmarks", nargs="*", choices=list(SOURCES), default=list(SOURCES))
    options = parser.parse_args()
    runs: dict[str, Verdicts] = {}
    about: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        work = options.work or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        for kind, number in itertools.product(KINDS, range(1, options.runs + 1)):
            kept = work / f"{kind}-{number}.json"
            if not kept.is_file() and kind in options.kinds:
                run(kind, kept, options)
            if kept.is_file():
                about[f"{kind} {number}"], rows = json.loads(kept.read_text())
                runs[f"{kind} {number}"] = {(name, task, index): verdict for name, task, index, verdict in rows}
    found = changes(runs) | {"about": about}
    print(json.dumps(found, indent=1))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def run(kind: str, kept: Path, options: argparse.Namespace) -> None:
    """Score everything once and keep the verdicts."""
    started, load_before = time.monotonic(), os.getloadavg()[1]
    with load(WORKERS if kind == "busy" else 0):
        verdicts = score(options)
    print(kept.stem, collections.Counter(verdicts.values()), file=sys.stderr, flush=True)
    about = {
        "seconds": round(time.monotonic() - started, 1),
        "load_before": load_before,
        "load_after": os.getloadavg()[1],
    }
    kept.write_text(json.dumps([about, [[*key, verdict] for key, verdict in verdicts.items()]]))


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

    @property
    def at_a_time(self) -> int:
        return 0

    def count(self, task: Task) -> int:
        return len(self._by_task[task.task_id])

    async def answer(self, task: Task, index: int) -> Answer:
        program = self._by_task[task.task_id][index]
        return Answer(program, program)


def completions(data: Path, name: str) -> list[dict[str, str]]:
    """Recorded completions of a benchmark's tasks; of `mbpp-full`, those of tasks that MBPP+ lacks."""
    if name in FILES:
        return [row for _, rows, _ in recorded(data, name, None) for row in rows]
    known = {row["task_id"] for row in read_file(data / FILES["mbpp+"])}
    rows = [row for row in read_file(data / "samples_greedy_mixed.jsonl.gz") if row["benchmark"] == "mbpp"]
    rows = [row | {"task_id": f"Mbpp/{row['task_id'].split('/')[1]}"} for row in rows]
    return [row for row in rows if row["task_id"] not in known]


def score(options: argparse.Namespace) -> Verdicts:
    """(benchmark, task, number) → verdict, in a store and a sandbox of their own."""
    verdicts: Verdicts = {}
    for name in options.benchmarks:
        by_task: dict[str, list[str]] = collections.defaultdict(list)
        rows = completions(options.data, name)
        for row in rows[:: max(1, len(rows) // options.limit)] if options.limit else rows:
            by_task[row["task_id"]].append(row["solution"])
        with tempfile.TemporaryDirectory() as folder, Sandbox(WORKERS) as sandbox, Store.open(folder) as store:
            data = str(options.data / SOURCES[name])
            found = load_benchmark(name, path=data, sandbox=sandbox)
            tasks = [task for task in found.tasks if task.task_id in by_task]
            benchmark = Benchmark(name, tasks, found.definition)
            config = Config(evaluation=EvaluationConfig(benchmark=name, path=data))
            work = evaluate(benchmark, Programs(by_task), config, sandbox=sandbox, store=store)
            result = asyncio.run(work)
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
