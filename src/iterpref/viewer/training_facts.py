"""A run's folder → its trainings, each with the curves of its log."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

from iterpref.run_folder import DEFAULT_TRAINING, TRAINING_LOG, TRAINING_RUN, RunFolder

from .charts import Chart, metric_chart
from .numbers import duration, how_many

# Metrics of TRL's log that are worth a chart, in this order, with what they mean.
_METRICS = {
    "loss": "training loss",
    "rewards/margins": "chosen reward minus rejected reward",
    "rewards/accuracies": "share of pairs whose chosen reward is the higher one",
    "rewards/chosen": "β times the log-ratio of the chosen program, to the reference model",
    "rewards/rejected": "the same for the rejected program",
    "rewards/rejected_focal": "the same for the wrong lines of the rejected program",
    "logps/chosen": "log-probability of the chosen program",
    "logps/rejected": "log-probability of the rejected program",
    "logps/rejected_focal": "log-probability of the wrong lines",
    "mean_token_accuracy": "share of the chosen program's tokens that the model would pick",
    "grad_norm": "length of the gradient",
    "learning_rate": "learning rate",
}


@dataclass(frozen=True)
class TrainingFacts:
    """One training: its folder in the run, its method, a chart per metric with its meaning, or why there is none;
    `told` says in words what a finished one did."""

    place: str
    method: str
    told: str
    charts: list[tuple[Chart, str]]
    absent: str


def trainings(folder: RunFolder) -> list[TrainingFacts]:
    """The run's trainings, that of `model/` first; that one alone, and absent, where there are none."""
    found = folder.trainings() or {DEFAULT_TRAINING: folder.model}
    return [_facts(path, str(path.relative_to(folder.path))) for path in found.values()]


def _facts(training: Path, place: str) -> TrainingFacts:
    """A damaged file is named on the page, never an exception."""
    name_of_log = f"{place}/{TRAINING_LOG}"
    method, told = _summary(training / TRAINING_RUN)
    try:
        log = json.loads((training / TRAINING_LOG).read_text(encoding="utf-8"))
        entries = [entry for entry in log if "step" in entry]
    except FileNotFoundError:
        return TrainingFacts(place, method, told, [], f"No training yet: {name_of_log} is not there.")
    except (OSError, ValueError, TypeError) as error:
        broken = f"{name_of_log} can't be read ({error}); train again to write it."
        return TrainingFacts(place, method, told, [], broken)
    charts = []
    for name, meaning in _METRICS.items():
        points = [(float(e["step"]), float(e[name])) for e in entries if isinstance(e.get(name), int | float)]
        points = [point for point in points if all(map(math.isfinite, point))]
        if len(points) > 1:
            charts.append((metric_chart(name, points), meaning))
    absent = "" if charts else f"{name_of_log} has no metric with two or more logged steps."
    return TrainingFacts(place, method, told, charts, absent)


def _summary(run_file: Path) -> tuple[str, str]:
    """The method of a finished training, and what it did; "" of one that is not finished or not readable."""
    try:
        noted = json.loads(run_file.read_text(encoding="utf-8"))
        done, begun = noted["summary"], Path(str(noted["model"])).name
        used = f"{done['trained_pairs']} of {how_many(done['pairs'], 'pair')}, {how_many(done['steps'], 'step')}"
        took = f"{done['epochs']:.3g} epochs in {duration(done['seconds'])}"
        return str(done["method"]), f"{used}, {took}, beginning with {begun}"
    except (OSError, ValueError, KeyError, TypeError):
        return "", ""
