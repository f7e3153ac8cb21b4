"""A Result → files of a run's `results/`: `ID.json`, the record, and `ID.samples.jsonl`, its programs for others.

Written again they are the same files. Not here: reading samples (samples.py), comparing Results (`analysis`).
"""

import json
from pathlib import Path

from iterpref.files import write_json, write_text
from iterpref.records import Result


def write_result(result: Result, folder: Path) -> Path:
    """Write both files, each whole or not at all; returns the path of the record."""
    folder.mkdir(parents=True, exist_ok=True)
    write_samples(result, folder / f"{result.result_id}.samples.jsonl")
    path = folder / f"{result.result_id}.json"
    write_json(path, result.model_dump(mode="json"), indent=1)
    return path


def write_samples(result: Result, path: Path) -> None:
    """The programs of a Result in EvalPlus's form, which `read_samples` and other harnesses take."""
    rows = [
        {"task_id": s.task_id, "sample_index": s.sample_index, "solution": s.program, "raw": s.completion}
        for s in result.samples
    ]
    write_text(path, "".join(f"{json.dumps(row)}\n" for row in rows))
