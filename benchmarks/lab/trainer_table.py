"""How an arm is trained: a line in `TRAINERS` for each kind, a function from a `Training` to a model folder.

base     no training: the model that all others began from
focal    the package's trainer on the arm's pairs; `training.method` says which loss
"""

import json
from collections.abc import Mapping
from typing import Any

from iterpref.errors import ConfigError
from iterpref.run_folder import TRAINING_LOG
from iterpref.training import METHODS, check_keys, known_keys, train
from iterpref.training.numbers import check_numbers

from .grid import Arm, near
from .kto import check_kto, train_kto
from .pairs import PAIRS
from .training import Trained, Trainer, Training, curve

_OF_GRID = {"learning_rate": "rate", "num_train_epochs": "length", "seed": "seeds", "reference_cache": "nothing",
            "selection": "nothing"}  # fmt: skip


def _untrained(training: Training) -> Trained:
    return Trained(training.base, {})


def _says_nothing(arm: Arm, settings: Mapping[str, Any]) -> None:
    said = arm.model_dump(exclude_defaults=True, exclude={"trainer"})
    if said:
        raise ConfigError(f"{', '.join(said)}: trainer base doesn't train; leave that out")


def _focal(training: Training) -> Trained:
    settings = {
        **training.settings,
        "learning_rate": training.rate,
        "num_train_epochs": training.length,
        "seed": training.data.plan.seed,
        "reference_cache": str(training.data.references),
    }
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


def _check_focal(arm: Arm, settings: Mapping[str, Any]) -> None:
    for key, instead in _OF_GRID.items():
        if key in settings:
            raise ConfigError(f"training.{key}: the grid says it ({instead}); leave it out")
    if arm.options:
        raise ConfigError(f"options: trainer focal has none, got {', '.join(arm.options)}")
    check_keys(settings, known_keys())
    check_numbers(settings)
    method = settings.get("method", "target_rpo")
    if method not in METHODS:
        raise ConfigError(f"training.method: no method is called {method}; {near(str(method), METHODS)}")
    if PAIRS[arm.pairs].one_sided and (METHODS[method].pairwise or settings.get("sft_on", "chosen") != "chosen"):
        raise ConfigError(f"pairs: {arm.pairs} has chosen sides only, which method sft alone can learn, got {method}")


TRAINERS: dict[str, Trainer] = {
    "base": Trainer(_untrained, _says_nothing),
    "focal": Trainer(_focal, _check_focal),
    "kto": Trainer(train_kto, check_kto),
}
