"""What a training leaves in its folder: whole models without copies, checkpoints while there is room, a card."""

import logging
import shutil
from pathlib import Path
from typing import Any

import torch
from torch.distributed.fsdp import StateDictType
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR
from trl import DPOTrainer

from iterpref.training.contexts import assigned
from iterpref.training.disk import is_full
from iterpref.training.model_card import model_card
from iterpref.training.sharding import saved_in_parts, without_copies

logger = logging.getLogger(__name__)

_NO_ROOM = (
    "%s: the disk has no room for the checkpoint of step %d, so it is left out and training goes on. If you make room, "
    "later ones are kept; a run that is killed goes on from the last one that is there."
)


class SavingDPOTrainer(DPOTrainer):
    """TRL's trainer, but for what it writes."""

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Save a whole model, which any server loads, also where FSDP writes the rest of a checkpoint in parts."""
        with assigned(saved_in_parts(self.accelerator), "state_dict_type", StateDictType.FULL_STATE_DICT):
            super().save_model(output_dir, _internal_call=_internal_call)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, torch.Tensor] | None = None) -> None:
        super()._save(output_dir, without_copies(state_dict, self.accelerator.unwrap_model(self.model)))

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Save a checkpoint; where the disk has no room for it, leave it out and go on, for nothing is lost by that."""
        try:
            super()._save_checkpoint(model, trial)
        except Exception as error:
            if not is_full(error) or self.accelerator.num_processes > 1:  # others may wait for this one
                raise
            shutil.rmtree(Path(self.args.output_dir) / f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}")
            logger.warning(_NO_ROOM, self.args.output_dir, self.state.global_step)

    def create_model_card(
        self, model_name: str | None = None, dataset_name: str | None = None, tags: Any = None
    ) -> None:
        """README.md of what is trained, in place of TRL's, which knows no method but DPO."""
        if self.is_world_process_zero():
            (Path(self.args.output_dir) / "README.md").write_text(model_card(self), encoding="utf-8")
