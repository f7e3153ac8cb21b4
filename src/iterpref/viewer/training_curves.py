"""TRL's log of a training run → one small chart per metric. A damaged log is named on the page, never an exception."""

import json
import math

from iterpref.run_folder import RunFolder
from iterpref.viewer.charts import Chart, metric_chart

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


def training_curves(folder: RunFolder) -> tuple[list[tuple[Chart, str]], str]:
    """Charts of TRL's log with what each metric means, and a sentence that says why where there are none."""
    name_of_log = folder.training_log.relative_to(folder.path)
    try:
        log = json.loads(folder.training_log.read_text(encoding="utf-8"))
        entries = [entry for entry in log if "step" in entry]
    except FileNotFoundError:
        return [], f"No training yet: {name_of_log} is not there."
    except (OSError, ValueError, TypeError) as error:
        return [], f"{name_of_log} can't be read ({error}); train again to write it."
    charts = []
    for name, meaning in _METRICS.items():
        points = [(float(e["step"]), float(e[name])) for e in entries if isinstance(e.get(name), int | float)]
        points = [point for point in points if all(map(math.isfinite, point))]
        if len(points) > 1:
            charts.append((metric_chart(name, points), meaning))
    return charts, "" if charts else f"{name_of_log} has no metric with two or more logged steps."
