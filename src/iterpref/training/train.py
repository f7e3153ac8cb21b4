"""Pairs + a model → a trained model folder. The entry function of `iterpref train`.

Reads Parquet only, so `accelerate launch -m iterpref train` works on any node. A finished run is not repeated; a run
that was cut short goes on from its last complete checkpoint. Importing this loads no torch.
"""

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iterpref.doing import doing
from iterpref.errors import TrainingError
from iterpref.model_source import model_source
from iterpref.packages import FOR_TRAINING, need_packages
from iterpref.playground.coder import resolve_model
from iterpref.run_folder import TRAINING_RUN
from iterpref.training import resuming
from iterpref.training.keys import check_keys, known_keys
from iterpref.training.numbers import check_numbers
from iterpref.training.reading import check_pairs_are_there, read_pairs
from iterpref.training.resuming import Scorer, TrainingRun
from iterpref.training.saving import save_finished
from iterpref.training.summary import TrainSummary, summarize

if TYPE_CHECKING:
    from iterpref.training.callbacks import OnProgress
    from iterpref.training.settings import TrainingSection
    from iterpref.training.trainer import FocalDPOTrainer

logger = logging.getLogger(__name__)


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
    """Train `model` on the pairs: Target-DPO and its like (arXiv:2503.02783), a whole run that can be killed.

    Run again with the same arguments it goes on from its last whole checkpoint; a finished one is not repeated.

    Args:
        pairs_path: A Parquet file of pairs, or a folder of them.
        model: A model folder, a hub id, or `playground`; also the frozen reference.
        output_dir: Gets the model, its tokenizer, `training_log.json` (TRL's log history), `training_run.json` and
            checkpoints; with an adapter `adapter/`, with `selection` `validation.json`.
        config: Keys of TRL's DPOConfig and ours, `method` above all (docs/training.md): the `training:` section.
        on_progress: Called with (step, steps, last metrics) on the first process; replaces TRL's progress bars.
        resume: False starts over, and forgets the checkpoints in `output_dir`.
        scorer: What the `selection` key asks for: checkpoint folder → metrics with `pass@1`.

    Returns:
        What was done: pairs, steps, losses, seconds.

    Raises:
        MissingPackageError: torch or another package of the extra `train` is not installed.
        ClientError: The model or its tokenizer doesn't load.
        ConfigError: A key is unknown, or a value can't be used.
        RecordError, SpanError: There are no pairs, or one was changed after pairing; see `read_pairs`.
        TrainingError: No pair is left after tokenizing, `output_dir` holds another training, or the loss diverges.
    """
    started = time.monotonic()
    _check(config, pairs_path)
    model = resolve_model(model)
    source = model_source(model, adapter=False)
    folder = Path(output_dir)
    with doing("loading torch and TRL"):
        from iterpref.training.contexts import quiet
        from iterpref.training.disk import told_if_full

        section = _read_section(config, folder, scorer)
    pairs = read_pairs(pairs_path)
    run = TrainingRun(resuming.run_identity(config, pairs._fingerprint, model), model)
    finished, checkpoint = _enter(folder, run, resume, section.args.distributed_state)
    if finished is not None:
        return TrainSummary.model_validate({**finished, "output_dir": str(folder), "repeated": True})
    with quiet(bars=on_progress is None), told_if_full(folder):
        begin = _beginning(folder, run, section, resume)
        with doing(f"loading the model and tokenizing {len(pairs)} pairs"):
            trainer = _make_trainer(source, section, pairs, _callbacks(folder, begin, on_progress, scorer))
        if on_progress:
            _without_bars(trainer)
        _train(trainer, checkpoint)
        summary = summarize(trainer, len(pairs), checkpoint, time.monotonic() - started)
        with doing("saving the model"):
            save_finished(trainer, source, section, replace(run, summary=summary.model_dump()))
    return summary


def _check(config: Mapping[str, Any], pairs_path: str | Path) -> None:
    """What can be told before torch is loaded."""
    need_packages("training", *FOR_TRAINING)
    check_keys(config, known_keys())
    check_pairs_are_there(pairs_path)
    check_numbers(config)


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


def _enter(folder: Path, run: TrainingRun, resume: bool, processes: Any) -> tuple[dict[str, Any] | None, Path | None]:
    """The summary of a finished run, or the checkpoint to go on from. Nothing is written yet."""
    from iterpref.training.processes import from_first

    _check_group(processes.num_processes)
    with processes.main_process_first():
        found = _found(folder, run, resume)
    return from_first(found)  # where a node doesn't see the first one's folder, it has to follow it all the same


def _found(folder: Path, run: TrainingRun, resume: bool) -> tuple[dict[str, Any] | None, Path | None]:
    if not resume and (folder / TRAINING_RUN).exists():
        return None, None
    finished = resuming.read_run(folder, run)
    return finished, None if finished is not None else resuming.last_checkpoint(folder)


def _beginning(folder: Path, run: TrainingRun, section: "TrainingSection", resume: bool) -> Callable[[Any, Any], None]:
    """What makes the folder this run's, once model, tokenizer, pairs and settings have proved to be usable."""
    from iterpref.training.disk import check_room

    def begin(model: Any, state: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if not resume and (folder / TRAINING_RUN).exists():
            resuming.clear_run(folder)
            logger.warning("%s: starting over; the training that was there is deleted, with its checkpoints.", folder)
        check_room(folder, model, section.args, state, section.adapter)
        resuming.write_run(folder, run)

    return begin


def _make_trainer(source: str, section: "TrainingSection", pairs: Any, callbacks: list[Any]) -> "FocalDPOTrainer":
    from trl import get_peft_config

    from iterpref.training.base_models import align_end, base_model, ends_of, said_of_base
    from iterpref.training.before_loading import check_chats, check_model
    from iterpref.training.model import load_model, load_tokenizer
    from iterpref.training.trainer import FocalDPOTrainer

    tokenizer = load_tokenizer(source, section.args)
    check_chats(source, tokenizer, pairs, section)
    check_model(source, tokenizer, section.args, section.adapter)
    network = load_model(source, section.args, section.adapter)
    ends = ends_of(network)
    why = base_model(tokenizer, ends, source, section.args.chat_template)
    if warning := said_of_base(source, section.args.method, why):
        logger.warning("%s.", warning)
    if not isinstance(pairs[0]["prompt"], str):
        align_end(tokenizer, ends, source, section.adapter.use_peft)
    with _settings_of_others():
        return FocalDPOTrainer(
            network,
            args=section.args,
            train_dataset=pairs,
            processing_class=tokenizer,
            callbacks=callbacks,
            peft_config=get_peft_config(section.adapter),
        )


@contextmanager
def _settings_of_others() -> Iterator[None]:
    """TRL's and transformers' own words about settings that they can't combine, a `report_to` not installed, ..."""
    try:
        yield
    except (ValueError, NotImplementedError, ImportError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise TrainingError(f"training can't start with these settings: {reason}") from error


def _without_bars(trainer: "FocalDPOTrainer") -> None:
    from transformers import PrinterCallback, ProgressCallback

    trainer.remove_callback(ProgressCallback)
    trainer.remove_callback(PrinterCallback)


def _callbacks(
    folder: Path, begin: Callable[[Any, Any], None], on_progress: "OnProgress | None", scorer: Scorer | None
) -> list[Any]:
    from iterpref.training.callbacks import Beginning, CheckpointCertifier, CheckpointSelection, ProgressReporter

    selection = [CheckpointSelection(folder, scorer)] if scorer else []
    reporter = [ProgressReporter(on_progress)] if on_progress else []
    return [Beginning(begin), CheckpointCertifier(), *selection, *reporter]


def _train(trainer: "FocalDPOTrainer", checkpoint: Path | None) -> None:
    """All steps; a ValueError before the first is about the settings, as is a package that an optimizer lacks."""
    try:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except (ValueError, ImportError) as error:
        if trainer.state.global_step:
            raise
        with _settings_of_others():
            raise error
