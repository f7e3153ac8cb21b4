"""How an arm is trained: a line in `TRAINERS` for each kind, a function from a `Training` to a model folder.

base                               no training: the model that all others began from
focal                              the package's trainer on the arm's pairs; `training.method` says which loss
kto                                KTO on the programs of the pairs, each right or wrong by itself
grpo, rounds, stages, mixture      arms that write programs themselves, or train in phases (phases.py)
"""

from collections.abc import Mapping
from typing import Any

from iterpref.errors import ConfigError

from . import phases
from .focal import check_focal, train_focal
from .grid import Arm
from .kto import check_kto, train_kto
from .training import Trained, Trainer, Training, focal_s


def _untrained(training: Training) -> Trained:
    return Trained(training.base, {})


def _says_nothing(arm: Arm, settings: Mapping[str, Any]) -> None:
    said = arm.model_dump(exclude_defaults=True, exclude={"trainer"})
    if said:
        raise ConfigError(f"{', '.join(said)}: trainer base doesn't train; leave that out")


TRAINERS: dict[str, Trainer] = {
    "base": Trainer(_untrained, _says_nothing, lambda *_: 0.0, reads_settings=False),
    "focal": Trainer(train_focal, check_focal, focal_s),
    "kto": Trainer(train_kto, check_kto, focal_s),
    "grpo": Trainer(phases.grpo, phases.check_grpo, phases.grpo_s, reads_settings=False, timed=True),
    "rounds": Trainer(phases.rounds, phases.check_rounds, phases.rounds_s),
    "stages": Trainer(phases.stages, phases.check_stages, focal_s),
    "mixture": Trainer(phases.mixture, phases.check_mixture, phases.mixture_s),
}
