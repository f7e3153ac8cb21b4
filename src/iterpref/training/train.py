"""Pairs + a model → a trained model folder. The entry function of `iterpref train`.

Reads Parquet only, so `accelerate launch -m iterpref train` works on any node. A finished run is not repeated; a run
that was cut short goes on from its last complete checkpoint (`save_strategy`, `save_steps` are TRL's).
Importing this module loads no torch. Not here: the loss (trainer.py), the tables of a report (analysis).
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from iterpref.errors import ClientError, TrainingError
from iterpref.records import Record
from iterpref.training import run_folder

if TYPE_CHECKING:
    from iterpref.training.config import FocalDPOConfig
    from iterpref.training.trainer import FocalDPOTrainer


class TrainSummary(Record):
    """What a training run did.

    `pairs` were read, `trained_pairs` used, `dropped` counts the rest by reason, `truncated` those cut to `max_length`.
    `resumed_step` is the checkpoint it went on from; `repeated` says that the folder held the finished model already.
    `metrics` are the last values logged.
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


def train(
    pairs_path: str | Path,
    model: str,
    output_dir: str | Path,
    config: Mapping[str, Any],
    *,
    on_progress: Callable[[int, int, Mapping[str, float]], None] | None = None,
    resume: bool = True,
) -> TrainSummary:
    """Train `model` on the pairs and save it with its tokenizer in `output_dir`.

    Args:
        pairs_path: A Parquet file of pairs, or a folder of them.
        model: A model folder or a hub id; also the frozen reference.
        output_dir: Gets the model, `training_log.json` (TRL's log history), `training_run.json` and checkpoints.
        config: The `training:` section; see `FocalDPOConfig`.
        on_progress: Called with (step, steps, last metrics) on the first process; replaces TRL's progress bars.
        resume: False starts over, and forgets the checkpoints in `output_dir`.

    Raises:
        ClientError: The model or its tokenizer doesn't load.
        ConfigError, RecordError, SpanError, TrainingError: see `parse_training`, `read_pairs`, `tokenize_pairs`.
    """
    started = time.monotonic()
    from accelerate import PartialState

    from iterpref.training.config import parse_training
    from iterpref.training.dataset import read_pairs
    from iterpref.training.trainer import check_trl

    check_trl()
    folder = Path(output_dir)
    args = parse_training(config, folder)
    pairs = read_pairs(Path(pairs_path))
    identity = run_folder.run_identity(config, pairs._fingerprint, model)
    with PartialState().main_process_first():
        if PartialState().is_main_process and not resume:
            run_folder.clear_run(folder)
        finished = run_folder.read_run(folder, identity)
        if finished is not None:
            return TrainSummary.model_validate({**finished, "repeated": True})
        if PartialState().is_main_process:
            folder.mkdir(parents=True, exist_ok=True)
            run_folder.write_run(folder, identity, None)
        checkpoint = run_folder.last_checkpoint(folder)
    with _quiet() if on_progress else nullcontext():
        trainer = _make_trainer(model, args, pairs, on_progress)
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        trainer.save_model(str(folder))
    summary = _summarize(trainer, len(pairs), checkpoint, time.monotonic() - started)
    trainer.accelerator.wait_for_everyone()
    if trainer.is_world_process_zero():
        run_folder.write_json(folder / run_folder.LOG_FILE, trainer.state.log_history)
        run_folder.write_run(folder, identity, summary.model_dump())
    return summary


def _make_trainer(model: str, args: "FocalDPOConfig", pairs: Any, on_progress: Any) -> "FocalDPOTrainer":
    from transformers import PrinterCallback, ProgressCallback

    from iterpref.training.callbacks import CheckpointCertifier, ProgressReporter
    from iterpref.training.trainer import FocalDPOTrainer

    network, tokenizer = _load_model(model, args)
    callbacks = [CheckpointCertifier(), *([ProgressReporter(on_progress)] if on_progress else [])]
    try:
        trainer = FocalDPOTrainer(
            network, args=args, train_dataset=pairs, processing_class=tokenizer, callbacks=callbacks
        )
    except (ValueError, NotImplementedError, ImportError, RuntimeError) as error:
        # a setting that TRL can't combine with another, a `report_to` that isn't installed, ...
        raise TrainingError(f"training can't start with these settings: {error}") from error
    if on_progress:
        trainer.remove_callback(ProgressCallback)
        trainer.remove_callback(PrinterCallback)
    return trainer


def _load_model(model: str, args: "FocalDPOConfig") -> tuple[Any, Any]:
    """The network, in fp32 unless `model_init_kwargs` names a dtype (TRL's default), and its tokenizer."""
    from transformers import AutoTokenizer
    from trl.trainer.utils import create_model_from_path

    trust = args.trust_remote_code
    options = {"device_map": None, "trust_remote_code": trust, **(args.model_init_kwargs or {})}
    try:
        tokenizer = AutoTokenizer.from_pretrained(model, trust_remote_code=trust)
        return create_model_from_path(model, **options), tokenizer
    except Exception as error:  # the loaders raise OSError, ValueError, KeyError, SafetensorError, ...
        raise ClientError(
            f"model {model}: doesn't load ({type(error).__name__}: {error}); expected a folder with config.json, "
            "weights and a tokenizer, or a hub id"
        ) from error


def _summarize(trainer: "FocalDPOTrainer", pairs: int, checkpoint: Path | None, seconds: float) -> TrainSummary:
    logged: dict[str, float] = {}
    for entry in trainer.state.log_history:
        logged.update(entry)
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
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the bars of transformers, datasets and TRL, and what they deprecate in each other; then undo that."""
    import warnings

    import datasets
    from transformers.utils import logging as transformers_logging

    restore = []
    if datasets.utils.are_progress_bars_disabled() is False:
        restore.append(datasets.utils.enable_progress_bars)
    if transformers_logging.is_progress_bar_enabled():
        restore.append(transformers_logging.enable_progress_bar)
    datasets.utils.disable_progress_bars()
    transformers_logging.disable_progress_bar()
    try:
        # TRL reads the variable when it computes reference values.
        with patch.dict("os.environ", TQDM_DISABLE="1"), warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
            yield
    finally:
        for enable in restore:
            enable()
