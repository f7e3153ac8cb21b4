"""The end of a training: its model, log and run file are put into its folder, together."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from iterpref.errors import TrainingError
from iterpref.files import write_json
from iterpref.run_folder import TRAINING_LOG
from iterpref.training import resuming
from iterpref.training.resuming import TrainingRun

if TYPE_CHECKING:
    from iterpref.training.settings import TrainingSection
    from iterpref.training.trainer import FocalDPOTrainer


def save_finished(trainer: "FocalDPOTrainer", source: str, section: "TrainingSection", run: TrainingRun) -> None:
    """Save the selected model, or what training ended with, its log and its run file: all of them or none.

    Raises:
        TrainingError: The disk has no room; the message says where the weights are.
    """
    from iterpref.training.disk import is_full, staged
    from iterpref.training.divergence import check_parameters
    from iterpref.training.model_card import model_card
    from iterpref.training.processes import wait_for_all

    check_parameters(trainer.model)
    folder, first = Path(trainer.args.output_dir), trainer.is_world_process_zero()
    if section.selection and trainer.state.best_global_step not in (None, trainer.state.global_step):
        trainer._load_best_model()

    def write(target: Path) -> None:
        _save(trainer, source, section, target)
        if first:
            (target / "README.md").write_text(model_card(trainer), encoding="utf-8")
            write_json(target / TRAINING_LOG, trainer.state.log_history, indent=1, sort_keys=True)
            resuming.write_run(target, run)

    wait_for_all()
    try:
        with staged(folder, first) as target:
            wait_for_all()
            write(target)
            wait_for_all()
    except Exception as error:
        if not is_full(error):
            raise
        raise TrainingError(_without_room(trainer, folder, write)) from error
    wait_for_all()
    if section.args.push_to_hub:
        trainer.push_to_hub(commit_message="Model save")


def _save(trainer: "FocalDPOTrainer", source: str, section: "TrainingSection", target: Path) -> None:
    """Save the model; an adapter beside the model that it is merged into."""
    from iterpref.training.model import save_merged
    from iterpref.training.processes import alone, wait_for_all

    if not section.adapter.use_peft:
        trainer.save_model(str(target), _internal_call=True)
        return
    trainer.save_model(str(target / resuming.ADAPTER_FOLDER), _internal_call=True)
    wait_for_all()
    if section.adapter.merge_adapter and trainer.is_world_process_zero():
        with alone():
            save_merged(source, target, trainer.processing_class, section.args)


def _without_room(trainer: "FocalDPOTrainer", folder: Path, write: Callable[[Path], None]) -> str:
    """Where the trained weights are, and what to do, when the disk has no room for the finished model."""
    from iterpref.training.disk import write_elsewhere

    told = f"{folder}: training is done, but the disk has no room for its model."
    last = resuming.last_checkpoint(folder)
    if last and last.name == f"checkpoint-{trainer.state.global_step}":
        return f"{told} All is in {last}: make room and run the same command again, which only saves"
    alone = trainer.accelerator.num_processes == 1
    place = write_elsewhere(folder, write) if alone else None
    if place:
        return f"{told} It is whole in {place} instead: make room, then cp -r {place}/. {folder} finishes the training"
    return f"{told} No other disk had room either; the last checkpoint is {last or 'none'}"
