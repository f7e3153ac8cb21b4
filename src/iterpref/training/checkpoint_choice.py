"""Which checkpoint becomes the model: the settings of that choice, and the scores (`validation.json`) it is made by.

Loads no torch. Not here: when checkpoints are scored (callbacks.py).
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from iterpref.config import SelectionConfig
from iterpref.errors import ConfigError
from iterpref.files import write_json
from iterpref.training.resuming import SCORES_FILE, checkpoints

METRIC = "pass@1"
# Folder of a saved checkpoint (tokenizer included) → metrics, `pass@1` among them.
Scorer = Callable[[Path], Mapping[str, float]]


def read_selection(values: Any) -> SelectionConfig | None:
    """The key `selection` of the `training:` section, read; None without it.

    Raises:
        ConfigError: A key is unknown, or a value can't be used.
    """
    if values is None:
        return None
    try:
        return SelectionConfig.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(["training.selection", *map(str, first["loc"])])
        known = ", ".join(SelectionConfig.model_fields)
        raise ConfigError(f"{where}: {first['msg']}, got {first['input']!r}; its keys are {known}") from None


def read_scores(folder: Path) -> dict[int, dict[str, float]]:
    """Step → metrics of the checkpoints scored so far."""
    path = folder / SCORES_FILE
    return {int(k): v for k, v in json.loads(path.read_text()).items()} if path.is_file() else {}


def write_scores(folder: Path, scores: Mapping[int, Mapping[str, float]]) -> None:
    write_json(folder / SCORES_FILE, scores, indent=1, sort_keys=True)


def best_step(folder: Path) -> int | None:
    """The step with the highest pass@1 among the checkpoints that are still there; the first of equals."""
    there = checkpoints(folder)
    scores = {step: score[METRIC] for step, score in sorted(read_scores(folder).items()) if step in there}
    return max(scores, key=lambda step: scores[step]) if scores else None
