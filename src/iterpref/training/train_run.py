"""The pairs of a run folder → one of its models, by the run's configuration.

Opens no database, so that it works on every node of a launcher. Not here: the training itself (train.py).
"""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from iterpref.config import Config, SelectionConfig
from iterpref.config.stages import settings_of
from iterpref.errors import ConfigError
from iterpref.files import write_json
from iterpref.opened_run import OnProgress
from iterpref.packages import FOR_TRAINING, need_packages
from iterpref.playground.coder import resolve_model
from iterpref.run_folder import TRAINING_SETTINGS, RunFolder
from iterpref.training.keys import check_keys, known_keys
from iterpref.training.numbers import check_numbers
from iterpref.training.reading import check_pairs_are_there
from iterpref.training.resuming import Scorer, read_selection
from iterpref.training.summary import TrainSummary
from iterpref.training.train import train

if TYPE_CHECKING:
    from iterpref.training.dry_run.plan import DryRun


def train_run(
    folder: RunFolder,
    config: Config,
    make_scorer: Callable[[Path, Config, SelectionConfig], Scorer],
    on_progress: OnProgress,
    output: str,
    restart: bool,
) -> TrainSummary:
    """Train into `model/`, or for another `output` into `models/`; `restart` deletes the training that is there.

    `make_scorer` (the training's folder, the configuration, how to select) makes what scores its checkpoints, where
    the configuration selects one.

    Raises:
        ConfigError: `output` is no name, or what `train` and `make_scorer` raise.
    """

    def show(step: int, steps: int, metrics: Mapping[str, float]) -> None:
        on_progress("train", step, steps, f"loss {metrics['loss']:.3f}" if "loss" in metrics else "")

    if not re.fullmatch(r"\w[\w.-]*", output):
        raise ConfigError(f"--output {output}: expected a plain name, for a folder in {folder.models}")
    target, settings = folder.training(output), _settings(config)
    model, selection = resolve_model(config.model), read_selection(config.training.get("selection"))
    scorer = make_scorer(target, config, selection) if selection else None
    summary = train(folder.pairs, model, target, settings, on_progress=show, scorer=scorer, resume=not restart)
    if os.environ.get("RANK", "0") == "0":  # a file, not a note: this process may not open the database
        write_json(target / TRAINING_SETTINGS, settings_of(config, "train"), indent=1)
    return summary


def plan_run(
    folder: RunFolder, config: Config, device: Literal["cpu", "cuda"] | None, flops: float | None, launch: Path | None
) -> "DryRun":
    """What `train_run` would take; see `dry_run`. `launch` is a configuration file of accelerate.

    Raises:
        ConfigError, ClientError, RecordError, TrainingError: What `train_run` would stop with before its first step,
            and a `launch` that can't be read.
    """
    need_packages("training", *FOR_TRAINING)
    settings = _settings(config)
    check_keys(settings, known_keys())
    check_pairs_are_there(folder.pairs)
    check_numbers(settings)
    from iterpref.training.dry_run.plan import dry_run
    from iterpref.training.dry_run.sharing import sharing_of

    sharing = sharing_of(launch)
    model = resolve_model(config.model)
    return dry_run(folder.pairs, model, settings, device=device, flops=flops, sharing=sharing)


def _settings(config: Config) -> dict[str, object]:
    return {"seed": config.seed} | config.training
