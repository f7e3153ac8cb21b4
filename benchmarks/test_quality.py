"""Do coverage and mutation score find weak tests? Recorded fixes that pass their task's tests but fail the plus tests.

    python benchmarks/test_quality.py --recorded debug_trajectories_dev.jsonl --humaneval-plus HumanEvalPlus.jsonl.gz \
        --mbpp-plus MbppPlus.jsonl.gz --json test_quality.json

Imports the recorded runs, takes each program that passes its task's own tests, runs it against HumanEval+ or MBPP+, and
measures the own tests on it. `weak`: fails the plus tests, so that its own tests let a wrong program pass. A signal
`flags` a program when it is below the threshold; printed are the share of the weak ones that it flags, and of the
others (false alarms).
"""

import argparse
import json
import tempfile
from functools import partial
from pathlib import Path

from iterpref.config import ValidationConfig
from iterpref.evaluation import load_benchmark
from iterpref.importing import import_recorded
from iterpref.records import Task, TestQuality
from iterpref.sandbox import Job, Sandbox
from iterpref.store import Store
from iterpref.synthesis.validate import Validator, passing_programs

SIGNALS = {
    "line coverage": (lambda q: q.line_coverage, (1.0,)),
    "branch coverage": (lambda q: q.branch_coverage, (1.0,)),
    "mutation score": (lambda q: q.mutation_score, (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recorded", type=Path, required=True)
    parser.add_argument("--humaneval-plus", type=Path, required=True)
    parser.add_argument("--mbpp-plus", type=Path, required=True)
    parser.add_argument("--limit", type=int, help="Only so many programs.")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Store.open(folder) as store, Sandbox() as sandbox:
        plus = plus_tasks(options, sandbox)
        import_recorded(str(options.recorded), store, sandbox)
        subjects = [(task, program) for task, program in passing_programs(store) if base(task) in plus]
        subjects = subjects[: options.limit]
        weak = [fails(sandbox, plus[base(task)], task, program) for task, program in subjects]
        print(f"{len(subjects)} programs pass their own tests; {sum(weak)} of them fail the plus tests", flush=True)
        opened = partial(lambda hash_seed: Sandbox(workers=options.workers, hash_seed=hash_seed))
        validator = Validator(ValidationConfig(repeats=1), opened)
        qualities = []
        for quality in validator.measure(validator.validate, subjects):
            qualities.append(quality)
            if len(qualities) % 50 == 0:
                print(f"{len(qualities)} measured", flush=True)
        validator.close()
    result = {"programs": len(subjects), "weak": sum(weak), "rows": rows(weak, qualities)}
    for row in result["rows"]:
        print("  ".join(f"{key} {value}" for key, value in row.items()))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))


def plus_tasks(options: argparse.Namespace, sandbox: Sandbox) -> dict[str, Task]:
    found = {}
    for name, path in (("humaneval+", options.humaneval_plus), ("mbpp+", options.mbpp_plus)):
        for task in load_benchmark(name, path=str(path), sandbox=sandbox).tasks:
            found[task.task_id] = task
    return found


def fails(sandbox: Sandbox, plus: Task, recorded: Task, program: str) -> bool:
    """Whether a recorded program, with what its own tests put before it, fails the plus tests."""
    prefix = f"{recorded.prefix}\n{plus.prefix}"
    return not sandbox.run(Job.from_task(plus.model_copy(update={"prefix": prefix}), program)).passed


def base(task: Task) -> str:
    """The benchmark's own name of a recorded task; rows with another prompt got a suffix."""
    return task.task_id.split("~")[0]


def rows(weak: list[bool], qualities: list[TestQuality]) -> list[dict[str, object]]:
    """Each signal at each threshold."""
    made = []
    for name, (measure, thresholds) in SIGNALS.items():
        for threshold in thresholds:
            flags = [(value := measure(q)) is not None and value < threshold for q in qualities]
            made.append(row(f"{name} < {threshold}", weak, flags))
    either = [(q.mutation_score or 1) < 0.8 or (q.branch_coverage or 1) < 1 for q in qualities]
    made.append(row("branch coverage < 1.0 or mutation score < 0.8", weak, either))
    made.append(row("a stub passes", weak, [bool(q.passing_stubs) for q in qualities]))
    return made


def row(name: str, weak: list[bool], flags: list[bool]) -> dict[str, object]:
    caught = sum(flag for is_weak, flag in zip(weak, flags, strict=True) if is_weak)
    alarms = sum(flag for is_weak, flag in zip(weak, flags, strict=True) if not is_weak)
    others = len(weak) - sum(weak)
    return {
        "signal": name,
        "weak_flagged": caught,
        "share": round(caught / max(1, sum(weak)), 3),
        "false_alarms": alarms,
        "rate": round(alarms / max(1, others), 3),
    }


if __name__ == "__main__":
    main()
