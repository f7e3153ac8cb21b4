"""The package's own training on an arm's pairs: SFT, DPO and the focal losses."""

import json
from collections.abc import Mapping
from typing import Any

from iterpref.errors import ConfigError
from iterpref.run_folder import TRAINING_LOG
from iterpref.training import METHODS, check_keys, known_keys, train
from iterpref.training.numbers import check_numbers

from .grid import Arm, near
from .pairs import PAIRS
from .training import Trained, Training, curve

_OF_GRID = {"learning_rate": "rate", "num_train_epochs": "length", "seed": "seeds", "reference_cache": "nothing",
            "selection": "nothing"}  # fmt: skip


def train_focal(training: Training) -> Trained:
    """The base after `training.method` on the arm's pairs; `length` is epochs."""
    settings = settings_of(training) | {"reference_cache": str(training.data.references)}
    pairs, target = training.data.pairs(training.arm), training.folder / "model"
    summary = train(pairs, str(training.base), target, settings, on_progress=lambda *_: None)
    log = json.loads((target / TRAINING_LOG).read_text(encoding="utf-8"))
    facts = {
        "pairs": summary.trained_pairs,
        "steps": summary.steps,
        "tokens": int(summary.metrics.get("num_tokens", 0)),
        "curve": curve(log),
    }
    return Trained(target, facts)


def settings_of(training: Training, parts: int = 1) -> dict[str, Any]:
    """The `training` section of one training, or of one of so many `parts` that the epochs are shared among."""
    rate, epochs = training.rate, training.length / parts
    return {**training.settings, "learning_rate": rate, "num_train_epochs": epochs, "seed": training.data.plan.seed}


def check_focal(arm: Arm, settings: Mapping[str, Any]) -> None:
    """Refuse options, and settings that no training has, or not on the arm's pairs."""
    if arm.options:
        raise ConfigError(f"options: trainer focal has none, got {', '.join(arm.options)}")
    check_settings(arm, settings)


def check_settings(arm: Arm, settings: Mapping[str, Any], where: str = "training") -> None:
    """The `training` section of an arm, or of a stage of it.

    Raises:
        ConfigError: A key that no training has or that the grid says, or a value that can't be.
    """
    for key, instead in _OF_GRID.items():
        if key in settings:
            raise ConfigError(f"{where}.{key}: the grid says it ({instead}); leave it out")
    check_keys(settings, known_keys())
    check_numbers(settings)
    method = settings.get("method", "target_rpo")
    if method not in METHODS:
        raise ConfigError(f"{where}.method: no method is called {method}; {near(str(method), METHODS)}")
    if PAIRS[arm.pairs].one_sided and (METHODS[method].pairwise or settings.get("sft_on", "chosen") != "chosen"):
        raise ConfigError(f"pairs: {arm.pairs} has chosen sides only, which method sft alone can learn, got {method}")
