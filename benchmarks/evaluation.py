"""Grading against evalplus 0.3.1: wall time on the canonical solutions, and agreement on recorded completions.

    python benchmarks/evaluation.py --data FOLDER --evalplus VENV/bin/python --json out.json [--agreement] [--runs 3]

FOLDER holds `humanevalplus-v0.1.10.jsonl.gz`, `mbppplus-v0.2.0.jsonl.gz` and, for `--agreement`,
`samples_greedy_mixed.jsonl.gz`. evalplus lives in an environment of its own. Both sides are alternated on two workers;
`cold` means that reference outputs are computed in the same run. Ours runs with its full isolation.
"""

import argparse
import asyncio
import collections
import dataclasses
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from iterpref.config import Config, EvaluationConfig
from iterpref.evaluation import RecordedAnswers, evaluate, load_benchmark, read_samples
from iterpref.evaluation.benchmarks.releases import read_file
from iterpref.evaluation.evaluate import passed_base
from iterpref.sandbox import Sandbox
from iterpref.store import Store

FILES = {"humaneval+": "humanevalplus-v0.1.10.jsonl.gz", "mbpp+": "mbppplus-v0.2.0.jsonl.gz"}
VARIABLES = {"humaneval+": "HUMANEVAL_OVERRIDE_PATH", "mbpp+": "MBPP_OVERRIDE_PATH"}
WORKERS = 2
# Tasks with floats and, after them, whole numbers among what is expected.
TOLERANT = ("HumanEval/137",)
AMPLE = ("--parallel", "1", "--min-time-limit", "20", "--gt-time-limit-factor", "40")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--evalplus", required=True, help="python of an environment with evalplus 0.3.1")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--runs", type=int, default=1, help="warm runs of each side")
    parser.add_argument("--no-speed", action="store_true")
    parser.add_argument("--agreement", action="store_true", help="also score the recorded completions with both")
    parser.add_argument("--benchmarks", nargs="*", choices=list(FILES), default=list(FILES))
    parser.add_argument("--models", nargs="*", help="only the recorded completions of these models")
    parser.add_argument("--work", type=Path, help="folder to keep what was computed in")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = options.work or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        found: dict[str, object] = {"workers": WORKERS, "runs": options.runs}
        if not options.no_speed:
            found |= speed(options, work)
        if options.agreement:
            found |= agreement(options, work)
    print(json.dumps(found, indent=1))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def speed(options: argparse.Namespace, work: Path) -> dict[str, object]:
    """Wall seconds of grading the canonical solutions, cold once and then warm; totals over the benchmarks measured.

    Each benchmark's seconds stay in `--work`, so that they can be measured one at a time.
    """
    kept = work / "speed.json"
    seconds: dict[str, dict[str, list[float]]] = json.loads(kept.read_text()) if kept.is_file() else {}
    for name in options.benchmarks:
        path = canonical(options.data, name, work)
        seconds[name] = {"ours": [], "evalplus": []}
        for folder in ("iterpref-cache", "evalplus-home"):
            shutil.rmtree(work / f"{folder}-{name}", ignore_errors=True)
        for run in range(options.runs + 1):
            for side in ("evalplus", "ours"):
                taken, verdicts = SIDES[side](options, work, name, path, f"speed{run}")
                failed = sorted(task_id for (task_id, _), verdict in verdicts.items() if not verdict[1])
                seconds[name][side].append(round(taken, 2))
                state = "cold" if run == 0 else "warm"
                print(f"{name} {state} {side}: {taken:.1f} s, not passed: {failed}", file=sys.stderr, flush=True)
        kept.write_text(json.dumps(seconds), encoding="utf-8")
    cold = {side: sum(values[side][0] for values in seconds.values()) for side in SIDES}
    warm = {side: sum(statistics.median(values[side][1:]) for values in seconds.values()) for side in SIDES}
    return {
        "seconds": seconds,
        "cold_ratio_to_evalplus": round(cold["evalplus"] / cold["ours"], 2),
        "warm_ratio_to_evalplus": round(warm["evalplus"] / warm["ours"], 2),
    }


def agreement(options: argparse.Namespace, work: Path) -> dict[str, object]:
    """Base and plus verdicts of both sides on the recorded completions, model by model; each difference listed.

    What a side has graded stays in `--work`, so that a run that was stopped goes on.
    """
    same = total = elsewhere = 0
    differing: list[dict[str, Any]] = []
    for name in options.benchmarks:
        for model, rows, absent in recorded(options.data, name, options.models):
            elsewhere += absent
            path = write_samples(options.data, name, rows, work / f"recorded-{name}-{model}.jsonl")
            _, theirs = evalplus(options, work, name, path, "agreement")
            _, ours = iterpref(options, work, name, path, f"agreement-{model}")
            for row in rows:
                key = (row["task_id"], 0)
                total += 1
                same += ours[key][:2] == theirs[key]
                if ours[key][:2] != theirs[key]:
                    found = {"benchmark": name, "model": model, "ours": ours[key], "evalplus": theirs[key]}
                    differing.append(row | found)
            print(f"{name} {model}: {len(rows)}; so far {same} of {total}", file=sys.stderr, flush=True)
    again = recheck(options, work, differing)
    causes = collections.Counter(explain(row) for row in differing)
    return {
        "samples": total,
        "samples_of_tasks_that_evalplus_lacks": elsewhere,
        "verdict_agreement_at_first": round(same / total, 5),
        "verdict_agreement": round((same + again) / total, 5),
        "causes": dict(causes),
        "disagreements": [row | {"cause": explain(row)} for row in differing],
    }


def recheck(options: argparse.Namespace, work: Path, differing: list[dict[str, Any]]) -> int:
    """Let evalplus grade the completions of disagreements once more, one at a time, with ample time and all memory: its
    limits are of wall time, which a busy machine uses up, and 4 GB in all. Returns how many then agree."""
    agreeing = 0
    for name in FILES:
        mine = [row for row in differing if row["benchmark"] == name]
        if not mine:
            continue
        path = write_samples(options.data, name, [{k: row[k] for k in ("task_id", "solution")} for row in mine],
                             work / f"again-{name}.jsonl")  # fmt: skip
        _, theirs = evalplus(options, work, name, path, "again", AMPLE)
        seen: collections.Counter[str] = collections.Counter()
        for row in mine:
            row["evalplus_again"] = theirs[row["task_id"], seen[row["task_id"]]]
            seen[row["task_id"]] += 1
            agreeing += row["evalplus_again"] == row["ours"][:2]
    return agreeing


def explain(row: dict[str, Any]) -> str:
    """Which known difference of docs/evaluation.md a disagreement is."""
    if row["evalplus_again"] == row["ours"][:2]:
        return "limits of evalplus: it agrees when given time and memory"
    if row["task_id"] == "HumanEval/32":
        return "HumanEval/32: evalplus 0.3.1 fails every program"
    if row["task_id"] in TOLERANT and not row["ours"][1] and row["evalplus"][1]:
        return "evalplus's tolerance, once set for a float, holds for all later tests, whole numbers too"
    verdict, error = row["ours"][2:]
    if verdict == "timeout" or (row["ours"][1] and not row["evalplus"][1]):
        return "time limits: of the whole run's CPU time here, of each call's wall time there"
    return f"to explain: {verdict} {error[:60]}"


def canonical(data: Path, name: str, work: Path) -> Path:
    """The canonical solutions as a samples file."""
    rows = read_file(data / FILES[name])
    path = work / f"canonical-{name}.jsonl"
    lines = [{"task_id": row["task_id"], "solution": row["prompt"] + row["canonical_solution"]} for row in rows]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def recorded(data: Path, name: str, models: list[str] | None) -> Iterator[tuple[str, list[dict[str, str]], int]]:
    """(model, its recorded completions of a benchmark, how many are of tasks that the benchmark lacks)."""
    known = {row["task_id"] for row in read_file(data / FILES[name])}
    prefix = next(iter(known)).split("/")[0]
    by_model: dict[str, list[dict[str, str]]] = collections.defaultdict(list)
    for row in read_file(data / "samples_greedy_mixed.jsonl.gz"):
        if row["task_id"].split("/")[0].lower() == prefix.lower():
            task_id = f"{prefix}/{row['task_id'].split('/')[1]}"
            by_model[row["model"].replace(":", "-")].append({"task_id": task_id, "solution": row["solution"]})
    for model, rows in by_model.items():
        mine = [row for row in rows if row["task_id"] in known]
        if not models or model in models:
            yield model, mine, len(rows) - len(mine)


def write_samples(data: Path, name: str, rows: list[dict[str, str]], path: Path) -> Path:
    """A samples file; evalplus wants every task, so absent ones get an empty program, which is not counted."""
    absent = {row["task_id"] for row in read_file(data / FILES[name])} - {row["task_id"] for row in rows}
    lines = [*rows, *({"task_id": task_id, "solution": ""} for task_id in sorted(absent))]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
    return path


Outcomes = dict[tuple[str, int], list[object]]


def evalplus(
    options: argparse.Namespace, work: Path, name: str, path: Path, tag: str, more: Sequence[str] = ()
) -> tuple[float, Outcomes]:
    """Its command as users run it; the results file is its own."""
    results = path.with_name(path.name.replace(".jsonl", "_eval_results.json"))
    kept = tag == "agreement" and results.is_file() and results.stat().st_mtime > path.stat().st_mtime
    if not kept:
        results.unlink(missing_ok=True)
    home = work / f"evalplus-home-{name}"
    home.mkdir(exist_ok=True)
    environment = {**os.environ, VARIABLES[name]: str(options.data / FILES[name]), "XDG_CACHE_HOME": str(home)}
    environment |= {"EVALPLUS_MAX_MEMORY_BYTES": "-1"} if more else {}
    dataset = name.rstrip("+")
    command = [
        options.evalplus,
        "-m",
        "evalplus.evaluate",
        dataset,
        "--samples",
        str(path),
        "--parallel",
        str(WORKERS),
        *more,
    ]
    started = time.monotonic()
    if not kept:
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    taken = time.monotonic() - started
    found = json.loads(results.read_text(encoding="utf-8"))["eval"]
    return taken, {
        (task_id, index): [row["base_status"] == "pass", row["base_status"] == row["plus_status"] == "pass"]
        for task_id, rows in found.items()
        for index, row in enumerate(rows)
    }


SCORE = "import runpy, sys; sys.argv[0] = sys.argv.pop(1); runpy.run_path(sys.argv[0], run_name='score')"


def iterpref(options: argparse.Namespace, work: Path, name: str, path: Path, tag: str) -> tuple[float, Outcomes]:
    """Our scoring in a process of its own, start-up included, like theirs."""
    out = work / f"ours-{name}-{tag}.json"
    command = [sys.executable, "-c", SCORE, __file__, name, str(options.data / FILES[name]), str(path), str(out)]
    environment = {**os.environ, "ITERPREF_CACHE": str(work / f"iterpref-cache-{name}")}
    started = time.monotonic()
    if not (tag.startswith("agreement") and out.is_file() and out.stat().st_mtime > path.stat().st_mtime):
        subprocess.run(command, env=environment, check=True)
    taken = time.monotonic() - started
    return taken, {(task_id, index): verdict for task_id, index, verdict in json.loads(out.read_text())}


def score(name: str, data: str, path: str, out: str) -> None:
    """Score a samples file, without the preflight: the same programs are what is measured."""
    config = Config(evaluation=EvaluationConfig(benchmark=name, path=data))
    with tempfile.TemporaryDirectory() as folder, Sandbox(WORKERS) as sandbox, Store.open(folder) as store:
        benchmark = dataclasses.replace(load_benchmark(name, path=data, sandbox=sandbox), preflight=False)
        samples = read_samples(Path(path), benchmark.tasks, missing=benchmark.broken)
        answers = RecordedAnswers(samples, benchmark.tasks, config.evaluation.k)
        result = asyncio.run(evaluate(benchmark, answers, config, sandbox=sandbox, store=store))
    rows = [
        [s.task_id, s.sample_index, [passed_base(s), s.execution.passed, s.execution.verdict, s.execution.error[:300]]]
        for s in result.samples
    ]
    Path(out).write_text(json.dumps(rows), encoding="utf-8")
    print(name, dict(collections.Counter(row[2][2] for row in rows)), file=sys.stderr)


SIDES = {"ours": iterpref, "evalplus": evalplus}

if __name__ == "__main__":
    main()
elif __name__ == "score":
    score(*sys.argv[1:])
