"""MBPP's splits: which tasks are debugged, which choose a rate, and which tasks of a benchmark are too close to these.

MBPP as its authors publish it (Austin et al., arXiv:2108.07732): a JSONL file of all 974 tasks, or the hub's data set.
"""

import json
import os
from pathlib import Path
from typing import Any

from iterpref.evaluation.benchmarks.mbpp import SPLITS
from iterpref.evaluation.benchmarks.registry import DEFINITIONS
from iterpref.evaluation.benchmarks.releases import load
from iterpref.files import write_text
from iterpref.pairing import Benchmarks
from iterpref.rows import DatasetPart, source_rows

from .plan import BENCHMARKS, Experiment
from .records import Record

TUNED_ON = ("train", "validation")
_COMPARED = ("task_id", "prompt", "canonical_solution")  # of EvalPlus's rows
Row = dict[str, Any]


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


def benchmark_tasks(experiment: Experiment) -> Record:
    """Which tasks of each benchmark count: `near_duplicates` of what is trained or tuned on don't.

    One is near when its prompt shares eight words in a row with such a task's, or its solution half of its 8-grams
    (`pairing.Benchmarks`; what stands in three tasks of the whole benchmark is a phrase). The whole splits count as
    trained and tuned on, whatever became pairs.
    """
    seen = [row for split in TUNED_ON for row in mbpp_rows(experiment.mbpp, split)]
    settings = experiment.config("evaluate").evaluation
    found: Record = {}
    for name in BENCHMARKS:
        definition = DEFINITIONS[name]
        rows = load(definition.release).rows if definition.release else []
        close = _close(rows, seen, experiment.work / f"{name}.jsonl")
        asked = [row["task_id"] for row in rows if definition.in_split(row, settings.split)]
        asked = asked[: experiment.scale.evaluated]
        near = [task_id for task_id in asked if task_id in close]
        found[name] = {"tasks": len(asked), "near_duplicates": near, "counted": len(asked) - len(near)}
    return found


def _close(rows: list[Row], seen: list[Row], file: Path) -> set[str]:
    """Ids of the rows that are close to one that was seen."""
    write_text(file, "".join(f"{json.dumps({key: row[key] for key in _COMPARED})}\n" for row in rows))
    benchmark = Benchmarks([file])
    return {name for row in seen for name in benchmark.close_to([str(row["text"])], str(row["code"]))}
