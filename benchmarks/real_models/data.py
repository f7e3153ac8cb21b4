"""MBPP's splits: which tasks are debugged, which choose a rate, and which tasks of a benchmark are too close to these.

MBPP as its authors publish it (Austin et al., arXiv:2108.07732): a JSONL file of all 974 tasks, or the hub's data set.
"""

import json
import os
from pathlib import Path

from iterpref.evaluation import TaskChoice, load_benchmark
from iterpref.evaluation.benchmarks.mbpp import SPLITS
from iterpref.files import write_text
from iterpref.pairing import Benchmarks
from iterpref.records import Task
from iterpref.rows import DatasetPart, source_rows
from iterpref.sandbox import Sandbox

from .plan import BENCHMARKS, Experiment
from .records import Record

TUNED_ON = ("train", "validation")
Row = dict[str, object]


def use_mbpp(source: str) -> None:
    """Let `mbpp-full`, by which rates are chosen, read the same file."""
    if Path(source).is_file():
        os.environ["ITERPREF_MBPP_FULL_PATH"] = str(Path(source).resolve())


def mbpp_rows(source: str, split: str) -> list[Row]:
    """The rows of one split, as published."""
    rows = (row.values for row in source_rows(source, DatasetPart(split, "full")))
    return [row for row in rows if int(str(row["task_id"])) in SPLITS[split]]


def training_file(experiment: Experiment) -> Path:
    """The tasks to debug, as a file that `iterpref import` reads."""
    rows = mbpp_rows(experiment.mbpp, "train")[: experiment.scale.tasks]
    path = experiment.work / "mbpp-train.jsonl"
    write_text(path, "".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def benchmark_tasks(experiment: Experiment, sandbox: Sandbox) -> Record:
    """Which tasks of each benchmark count: `near_duplicates` of what is trained or tuned on don't.

    One is near when its prompt shares eight words in a row with such a task's, or its solution half of its 8-grams
    (`pairing.Benchmarks`). The whole splits count as trained and tuned on, whatever became pairs.
    """
    seen = [row for split in TUNED_ON for row in mbpp_rows(experiment.mbpp, split)]
    found: Record = {}
    for name in BENCHMARKS:
        settings = experiment.config("evaluate").evaluation
        choice = TaskChoice(settings.split, experiment.scale.evaluated)
        tasks = load_benchmark(name, choice, sandbox=sandbox).tasks
        near = _near(tasks, seen, experiment.work / f"{name}.jsonl")
        found[name] = {"tasks": len(tasks), "near_duplicates": near, "counted": len(tasks) - len(near)}
    return found


def _near(tasks: list[Task], seen: list[Row], file: Path) -> list[str]:
    """Ids of the tasks that are close to one that was seen."""
    rows = [{"task_id": t.task_id, "prompt": t.prompt, "code": _solution(t)} for t in tasks]
    write_text(file, "".join(f"{json.dumps(row)}\n" for row in rows))
    benchmark = Benchmarks([file])
    close = {name for row in seen for name in benchmark.close_to([str(row["text"])], str(row["code"]))}
    return [task.task_id for task in tasks if task.task_id in close]


def _solution(task: Task) -> str:
    """The reference without the prompt that it continues."""
    return (task.reference or "").removeprefix(str(task.prompt))
