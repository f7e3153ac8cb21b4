"""The published run's pairs: its trainings can be run again without the hours of debugging and sampling before them.

PAIRS holds what the model wrote, a pair a line; the prompts are MBPP's and come from there, by the id of the task.
"""

import json
from pathlib import Path

import pyarrow.parquet as pq

from iterpref import pipeline
from iterpref.errors import RecordError
from iterpref.files import write_text
from iterpref.pairing import PARQUET, write_dataset
from iterpref.records import PreferencePair, as_messages
from iterpref.run_folder import RunFolder

from .data import training_file
from .lab import Lab
from .pairs import TRAINING
from .records import Record

ROOT = Path(__file__).parents[2]
DATA, PAIRS = ROOT / "benchmarks/data/real_models.json", ROOT / "benchmarks/data/real_models_pairs.jsonl"
_LATER = ("diagnosis", "train", "validate", "evaluate")  # steps that are run anew


def write_pairs(work: Path, path: Path = PAIRS) -> None:
    """The pairs that the trainings in `work` read, without their prompts."""
    rows = pq.read_table(RunFolder(work / TRAINING).pairs / PARQUET).to_pylist()
    lines = (json.dumps({key: value for key, value in row.items() if key != "prompt"}) for row in rows)
    write_text(path, "".join(f"{line}\n" for line in lines))


def take_published(lab: Lab, records: Path = DATA, pairs: Path = PAIRS) -> None:
    """Begin with the published pairs, and with the records of all steps up to them, unless the folder has pairs.

    Raises:
        RecordError: MBPP's tasks are other ones than those that the pairs were made of.
    """
    if lab.records.get("pairs"):
        return
    found: dict[str, Record] = json.loads(records.read_text(encoding="utf-8"))
    write_dataset(RunFolder(lab.folder(TRAINING)).pairs, _with_prompts(lab, pairs))
    for step, record in found.items():
        if not step.startswith(_LATER):
            lab.records.put(step, record)


def with_published(found: dict[str, Record], records: Path = DATA) -> dict[str, Record]:
    """Records of a folder; where its pairs are the published ones, with those of the steps that it didn't run anew."""
    published: dict[str, Record] = json.loads(records.read_text(encoding="utf-8"))
    return published | found if "pairs" in found and found["pairs"] == published.get("pairs") else found


def _with_prompts(lab: Lab, path: Path) -> list[PreferencePair]:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    found = []
    with lab.opened("published", lab.experiment.config("debug")) as run:
        pipeline.import_source(run, str(training_file(lab.experiment)), {})
        for row in rows:
            expected = row.pop("content_hash")
            pair = PreferencePair(**row, prompt=as_messages(run.store.task(row["task_id"]).prompt))
            if pair.content_hash != expected:
                raise RecordError(f"pair {pair.pair_id}: got a task {pair.task_id} whose prompt isn't the one that its "
                                  f"programs were written for; expected MBPP as its authors publish it, not "
                                  f"{lab.experiment.mbpp}")  # fmt: skip
            found.append(pair)
    return found
