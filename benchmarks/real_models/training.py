"""Every method on the same pairs, in the same steps, at every rate; MBPP's validation split chooses the rate."""

import json
from collections.abc import Mapping
from typing import NamedTuple

from iterpref import pipeline
from iterpref.run_folder import RunFolder
from iterpref.training import read_selection

from .lab import Lab
from .pairs import TRAINING
from .plan import training_name
from .records import Record


def train(lab: Lab, method: str, rate: float) -> Record:
    """One training, and the score of its model on the validation tasks."""
    name, tasks = training_name(method, rate), lab.experiment.scale.validation
    few = [f"training.selection.tasks={tasks}"] if tasks else []
    # The adapter alone: fifteen merged models would fill a disk.
    folder = RunFolder(lab.folder(TRAINING))
    config = lab.experiment.config("train", f"training.method={method}", f"training.learning_rate={rate}",
                                   f"training.reference_cache={lab.folder(TRAINING) / 'references'}",
                                   "training.merge_adapter=false", *few)  # fmt: skip
    summary = pipeline.train(folder, config, lab.show, name)
    [score] = json.loads((folder.training(name) / "validation.json").read_text(encoding="utf-8")).values()
    return {
        "method": method,
        "rate": rate,
        "pairs": summary.trained_pairs,
        "steps": summary.steps,
        "loss": summary.train_loss,
        "seconds": summary.seconds,
        "validation": score,
    }


def validate_base(lab: Lab) -> Record:
    """The score of the untrained model on the same tasks, asked in the same way; for comparison, it is no candidate."""
    selection = read_selection(lab.experiment.config("train").training["selection"])
    tasks = lab.experiment.scale.validation
    config = lab.experiment.config(
        "evaluate", f"evaluation.benchmark={selection.benchmark}", f"evaluation.split={selection.split}",
        f"evaluation.sampling.max_tokens={selection.max_tokens}", *([f"evaluation.tasks={tasks}"] if tasks else []),
    )  # fmt: skip
    with lab.opened("evaluation/validation", config) as run:
        return {"validation": pipeline.evaluate(run, lab.experiment.model).metrics}


class Scored(NamedTuple):
    """A rate, its pass@1 on the validation tasks, and the standard error of that."""

    rate: float
    passed: float
    error: float


def choose_rate(scores: list[Scored]) -> float:
    """The lowest rate that is within one standard error of the best one's score."""
    best = max(scores, key=lambda scored: scored.passed)
    return min(scored.rate for scored in scores if scored.passed >= best.passed - best.error)


def chosen_rate(lab: Lab, method: str) -> float:
    """A method's rate, by the records of its trainings."""
    return choose_rate(scores_of(lab.records.all(), method))


def scores_of(records: Mapping[str, Record], method: str) -> list[Scored]:
    found = (record for record in records.values() if record.get("method") == method and "validation" in record)
    return sorted(
        Scored(r["rate"], r["validation"]["pass@1"], r["validation"].get("pass@1_stderr", 0.0)) for r in found
    )
