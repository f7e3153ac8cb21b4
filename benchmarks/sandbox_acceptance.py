"""Do all canonical solutions pass, with expected values outside? Do recorded completions get their recorded verdict?

    python benchmarks/sandbox_acceptance.py --data FOLDER [--workers 2] [--samples N] [--json FILE]

Reads the published benchmark files in FOLDER/benchmarks, and `samples_greedy_mixed.jsonl.gz` there: completions of ten
models with the success that their sources recorded. Prints the share of tasks whose tests are taken apart ("lifted"),
the agreement with the records, and every disagreement by class, with examples. Expected outputs of the `+` benchmarks
are computed once and kept in the user's cache.
"""

import argparse
import json
import re
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from iterpref.evaluation import load_benchmark
from iterpref.evaluation.benchmarks.releases import read_file
from iterpref.records import Execution, Limits, Task
from iterpref.sandbox import Job, Sandbox

FILES = {
    "humaneval": "humaneval.jsonl",
    "humaneval+": "humanevalplus-v0.1.10.jsonl.gz",
    "mbpp-sanitized": "mbpp_sanitized.jsonl",
    "mbpp+": "mbppplus-v0.2.0.jsonl.gz",
    "mbpp-full": "mbpp.jsonl",
}
# What HumanEval's programs may expect to be imported, as in the harnesses of those who recorded.
PREAMBLE = (
    "import math\nimport re\nimport sys\nimport copy\nimport datetime\nimport itertools\nimport collections\n"
    "import heapq\nimport functools\nimport hashlib\nimport numpy\nimport numpy as np\nimport string\n"
    "from typing import *\nfrom collections import *\n"
)


def tasks_of(name: str, data: Path, sandbox: Sandbox) -> list[Task]:
    return load_benchmark(name, path=str(data / FILES[name]), sandbox=sandbox).tasks


def canonical(name: str, data: Path, sandbox: Sandbox) -> dict[str, Any]:
    """How many canonical solutions pass, and with which trust."""
    tasks = tasks_of(name, data, sandbox)
    started = time.perf_counter()
    executions = list(sandbox.run_many(Job.from_task(task, task.reference or "") for task in tasks))
    failed = [task.task_id for task, e in zip(tasks, executions, strict=True) if not e.passed]
    trust = Counter(execution.trust for execution in executions)
    others = [task.task_id for task, e in zip(tasks, executions, strict=True) if e.trust != "oracle"]
    print(
        f"{name:15} {len(tasks) - len(failed)} of {len(tasks)} pass; lifted {trust['oracle'] / len(tasks):.4f} "
        f"({dict(trust)}); {time.perf_counter() - started:.1f} s; not lifted: {others[:12]}; failed: {failed[:12]}"
    )
    return {"tasks": len(tasks), "passed": len(tasks) - len(failed), "trust": dict(trust), "failed": failed}


def recorded(data: Path, sandbox: Sandbox, limit: int | None) -> dict[str, Any]:
    """Run the recorded completions; agreement with `recorded_success`, and the disagreements by class."""
    known = {key(task.task_id): task for name in ("humaneval", "mbpp-full") for task in tasks_of(name, data, sandbox)}
    rows = read_file(data / "samples_greedy_mixed.jsonl.gz")[:limit]
    sums = {row["model"]: row["solution"] for row in rows if row["task_id"] == "MBPP/126"}
    started = time.perf_counter()
    jobs = (job_of(known[key(row["task_id"])], row["solution"]) for row in rows)
    classes: dict[str, list[str]] = defaultdict(list)
    cells: Counter[tuple[bool, bool]] = Counter()
    for row, execution in zip(rows, sandbox.run_many(jobs), strict=True):
        was = row["recorded_success"] in (True, "True")
        cells[was, execution.passed] += 1
        if was != execution.passed:
            why = cause(row, known[key(row["task_id"])], sums, sandbox) if execution.passed else ""
            case = f"{row['task_id']} of {row['model']}"
            classes[why or kind(row, was, execution)].append(case if why else f"{case}: {execution.error[:120]!r}")
    agree = cells[True, True] + cells[False, False]
    print(f"\nrecorded: {agree} of {len(rows)} agree ({agree / len(rows):.4f}); {time.perf_counter() - started:.0f} s")
    for (was, now), count in sorted(cells.items()):
        print(f"  recorded {'success' if was else 'failure':8} here {'passed' if now else 'not passed':11} {count}")
    for name, cases in sorted(classes.items(), key=lambda item: -len(item[1])):
        print(f"  {len(cases):4} {name}\n" + "".join(f"         {case}\n" for case in cases[:3]), end="")
    disagreements = {name: len(cases) for name, cases in classes.items()}
    return {"completions": len(rows), "agree": agree, "disagreements": disagreements}


def cause(row: dict[str, Any], task: Task, sums: dict[str, str], sandbox: Sandbox) -> str:
    """Why a program that passes was recorded as a failure, found out by running it as its source did.

    The sources (LDB, MGDebugger) put the asserts into a function `check` behind the program, and `exec` the programs of
    a benchmark in the namespace of one process. `sums`: what each model wrote for MBPP/126, the function `sum`.
    """
    if sandbox.run(job_of(task, row["solution"], preamble="")).error_type == "NameError":
        return "recorded failure: the program uses a module it doesn't import, which the preamble here does"
    if row["benchmark"] == "mbpp":
        job = job_of(task, row["solution"])
        earlier = job.model_copy(update={"prefix": f"{job.prefix}\n{sums.get(row['model'], '')}"})
        if row["task_id"] != "MBPP/126" and not sandbox.run(earlier).passed:
            return "recorded failure: fails behind the same model's MBPP/126, whose `sum` hides Python's"
        if re.search(r"^def check\b", row["solution"], re.MULTILINE):
            return "recorded failure: its function is called `check`, as the source's own, which replaces it"
    return ""


def key(task_id: str) -> str:
    """`MBPP/11` and `Mbpp/11` are the same task."""
    return task_id.lower()


def job_of(task: Task, solution: str, preamble: str = PREAMBLE) -> Job:
    if task.entry_point and not re.search(rf"def {task.entry_point}\b", solution):
        solution = f"{task.prompt}{solution}"  # some sources recorded the function's body only
    job = Job.from_task(task, solution)
    return job.model_copy(update={"prefix": preamble + job.prefix, "limits": Limits(cpu_s=2.0, wall_s=30.0)})


def kind(row: dict[str, Any], was: bool, execution: Execution) -> str:
    recorded_as = "success" if was else "failure"
    detail = re.sub(r"'[^']*'", "...", execution.error_type)
    model = "ldb-seed" if row["model"].startswith("ldb-seed") else "other"
    return f"{row['benchmark']}, source {model}: recorded {recorded_as}, here {execution.verdict} {detail}".strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--samples", type=int, help="only the first so many recorded completions; 0 for none")
    parser.add_argument("--recorded-only", action="store_true", help="skip the canonical solutions")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    data = options.data / "benchmarks"
    found: dict[str, Any] = {}
    with Sandbox(options.workers, preload=["numpy"]) as sandbox:
        print(f"rung {sandbox.isolation}, {options.workers} workers")
        for name in () if options.recorded_only else ("humaneval", "humaneval+", "mbpp-sanitized", "mbpp+"):
            found[name] = canonical(name, data, sandbox)
        if options.samples != 0:
            found["recorded"] = recorded(data, sandbox, options.samples)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
