"""Pairs + a model → a trained model folder. The entry function of `iterpref train`.

Reads Parquet only, so `accelerate launch -m iterpref train` works on any node. A finished run is not repeated; a run
that was cut short goes on from its last complete checkpoint. Importing this loads no torch.
"""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from iterpref.errors import TrainingError
from iterpref.files import write_json
from iterpref.records import Record
from iterpref.run_folder import TRAINING_LOG
from iterpref.training import resuming
from iterpref.training.resuming import METRIC, Scorer

if TYPE_CHECKING:
    from iterpref.training.callbacks import OnProgress
    from iterpref.training.settings import TrainingSection
    from iterpref.training.trainer import FocalDPOTrainer


class TrainSummary(Record):
    """What a training run did.

    `pairs` were read, `trained_pairs` used, `dropped` counts the rest by reason, `truncated` those cut to `max_length`.
    `resumed_step` is the checkpoint it went on from; `repeated` says that the folder held the finished model already.
    `metrics` are the last values logged. `selected_step` is the checkpoint that became the model, `None` if it is what
    training ended with because nothing was to be selected; `validation` has each checkpoint's pass@1, by step.
    """

    output_dir: str
    method: str
    pairs: int
    trained_pairs: int
    dropped: dict[str, int]
    truncated: int
    steps: int
    epochs: float
    train_loss: float
    metrics: dict[str, float]
    seconds: float
    resumed_step: int | None = None
    repeated: bool = False
    selected_step: int | None = None
    validation: dict[str, float] = Field(default_factory=dict)


def train(
    pairs_path: str | Path,
    model: str,
    output_dir: str | Path,
    config: Mapping[str, Any],
    *,
    on_progress: "OnProgress | None" = None,
    resume: bool = True,
    scorer: Scorer | None = None,
) -> TrainSummary:
    """Train `model` on the pairs.

    Args:
        pairs_path: A Parquet file of pairs, or a folder of them.
        model: A model folder or a hub id; also the frozen reference.
        output_dir: Gets the model, its tokenizer, `training_log.json` (TRL's log history), `training_run.json` and
            checkpoints; with an adapter `adapter/`, with `selection` `validation.json`.
        config: The `training:` section; see `settings.parse_training`.
        on_progress: Called with (step, steps, last metrics) on the first process; replaces TRL's progress bars.
        resume: False starts over, and forgets the checkpoints in `output_dir`.
        scorer: What the `selection` key asks for: checkpoint folder → metrics with `pass@1`.

    Raises:
        ClientError: The model or its tokenizer doesn't load.
        ConfigError, RecordError, SpanError, TrainingError: see `parse_training`, `read_pairs`, `tokenize_pairs`.
    """
    started = time.monotonic()
    from iterpref.training.contexts import quiet
    from iterpref.training.pairs import read_pairs

    folder = Path(output_dir)
    section = _read_section(config, folder, scorer)
    pairs = read_pairs(pairs_path)
    identity = resuming.run_identity(config, pairs._fingerprint, model)
    finished, checkpoint = _enter(folder, identity, resume, section.args.distributed_state)
    if finished is not None:
        return TrainSummary.model_validate({**finished, "repeated": True})
    with quiet(bars=on_progress is None):
        trainer = _make_trainer(model, section, pairs, on_progress, scorer)
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        _save(trainer, model, section, folder)
    summary = _summarize(trainer, len(pairs), checkpoint, time.monotonic() - started)
    _finish(trainer, folder, identity, summary)
    return summary


def _read_section(config: Mapping[str, Any], folder: Path, scorer: Scorer | None) -> "TrainingSection":
    from iterpref.training.config import check_trl
    from iterpref.training.settings import parse_training

    check_trl()
    section = parse_training(config, folder)
    if (section.selection is None) != (scorer is None):
        raise TrainingError(
            "training: selection needs a scorer, and a scorer the key selection; `iterpref train` makes one"
        )
    return section


def _check_group(processes: int) -> None:
    """Refuse processes that a launcher started together and that don't know of each other."""
    started = int(os.environ.get("WORLD_SIZE", "1"))
    if processes != started:
        raise TrainingError(
            f"the launcher started {started} processes, but this one is in a group of {processes}, and they would "
            "overwrite each other; see docs/training.md, Several processes"
        )


def _enter(
    folder: Path, identity: Mapping[str, Any], resume: bool, processes: Any
) -> tuple[dict[str, Any] | None, Path | None]:
    """The summary of a finished run, or the checkpoint to go on from; the first process makes the folder this run's."""
    _check_group(processes.num_processes)
    with processes.main_process_first():
        first = processes.is_main_process
        if first and not resume:
            resuming.clear_run(folder)
        finished = resuming.read_run(folder, identity)
        if finished is not None:
            return finished, None
        if first:
            folder.mkdir(parents=True, exist_ok=True)
            resuming.write_run(folder, identity, None)
        return None, resuming.last_checkpoint(folder)


def _make_trainer(
    model: str, section: "TrainingSection", pairs: Any, on_progress: "OnProgress | None", scorer: Scorer | None
) -> "FocalDPOTrainer":
    from transformers import PrinterCallback, ProgressCallback
    from trl import get_peft_config

    from iterpref.training.model import load_model, load_tokenizer
    from iterpref.training.trainer import FocalDPOTrainer

    tokenizer, network = load_tokenizer(model, section.args), load_model(model, section.args, section.adapter)
    try:
        trainer = FocalDPOTrainer(
            network,
            args=section.args,
            train_dataset=pairs,
            processing_class=tokenizer,
            callbacks=_callbacks(Path(section.args.output_dir), on_progress, scorer),
            peft_config=get_peft_config(section.adapter),
        )
    except (ValueError, NotImplementedError, ImportError, RuntimeError) as error:
        # a setting that TRL can't combine with another, a `report_to` that isn't installed, ...
        raise TrainingError(f"training can't start with these settings: {error}") from error
    if on_progress:
        trainer.remove_callback(ProgressCallback)
        trainer.remove_callback(PrinterCallback)
    return trainer


def _callbacks(folder: Path, on_progress: "OnProgress | None", scorer: Scorer | None) -> list[Any]:
    from iterpref.training.callbacks import CheckpointCertifier, CheckpointSelection, ProgressReporter

    selection = [CheckpointSelection(folder, scorer)] if scorer else []
    reporter = [ProgressReporter(on_progress)] if on_progress else []
    return [CheckpointCertifier(), *selection, *reporter]


def _save(trainer: "FocalDPOTrainer", model: str, section: "TrainingSection", folder: Path) -> None:
    """Save the selected model, or what training ended with; an adapter beside the model that it is merged into."""
    from iterpref.training.model import save_merged

    if section.selection and trainer.state.best_global_step not in (None, trainer.state.global_step):
        trainer._load_best_model()
    if not section.adapter.use_peft:
        trainer.save_model(str(folder))
        return
    trainer.save_model(str(folder / resuming.ADAPTER_FOLDER))
    trainer.accelerator.wait_for_everyone()
    if section.adapter.merge_adapter and trainer.is_world_process_zero():
        save_merged(model, folder, trainer.processing_class, section.args)


def _summarize(trainer: "FocalDPOTrainer", pairs: int, checkpoint: Path | None, seconds: float) -> TrainSummary:
    logged = {name: value for entry in trainer.state.log_history for name, value in entry.items()}
    scores = resuming.read_scores(Path(trainer.args.output_dir))
    return TrainSummary(
        output_dir=str(trainer.args.output_dir),
        method=trainer.args.method,
        pairs=pairs,
        trained_pairs=len(trainer.train_dataset),
        dropped=trainer.dropped,
        truncated=trainer.truncated,
        steps=trainer.state.global_step,
        epochs=float(trainer.state.epoch or 0.0),
        train_loss=float(logged.get("train_loss", float("nan"))),
        metrics=logged,
        seconds=round(seconds, 2),
        resumed_step=int(checkpoint.name.split("-")[-1]) if checkpoint else None,
        selected_step=trainer.state.best_global_step,
        validation={str(step): score[METRIC] for step, score in scores.items()},
    )


def _finish(trainer: "FocalDPOTrainer", folder: Path, identity: Mapping[str, Any], summary: TrainSummary) -> None:
    """On the first process, and after all have saved: write the log, and last that the model is whole."""
    trainer.accelerator.wait_for_everyone()
    if trainer.is_world_process_zero():
        write_json(folder / TRAINING_LOG, trainer.state.log_history, indent=1, sort_keys=True)
        resuming.write_run(folder, identity, summary.model_dump())
    trainer.accelerator.wait_for_everyone()
