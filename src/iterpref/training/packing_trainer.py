"""How a trainer runs a batch: the tokens that its rows share once, the rest in TRL's code, each token by its weight."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from iterpref.errors import TrainingError
from iterpref.training.batching import OURS, PAIR_WEIGHTS, TRUNK, WEIGHTS
from iterpref.training.config import FocalDPOConfig
from iterpref.training.contexts import assigned
from iterpref.training.divergence import check_loss, without_cudnn_attention
from iterpref.training.methods import Method
from iterpref.training.model import ChosenRows
from iterpref.training.saving_trainer import SavingDPOTrainer
from iterpref.training.trunk.choice import AUTO, choose, obstacle
from iterpref.training.trunk.install import installed
from iterpref.training.weighing import weighed

logger = logging.getLogger(__name__)

_TRUNK_IS_OFF = (
    "Trunk-and-branch training is off, because %s. Tokens that rows of a batch share are run again in each row, as TRL "
    "does: the same loss for more work."
)


class PackingDPOTrainer(SavingDPOTrainer):
    """TRL's trainer on batches that say which tokens their rows share (`TrunkLayout`) and what tokens weigh."""

    args: FocalDPOConfig
    trunk_mode: str | None
    trunk_off_reason: str | None
    _method: Method
    _is_packed = False
    _loss_before: torch.Tensor | None = None

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> torch.Tensor:
        inputs = self._prepare_inputs(inputs)
        check_loss(self._loss_before, self.state.global_step)  # not this one's, for which a GPU would have to be waited
        with without_cudnn_attention(), self.packed(model, inputs):  # until the backward pass, which may rerun layers
            self._loss_before = super().training_step(model, inputs, num_items_in_batch)
        return self._loss_before

    def prediction_step(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        inputs = self._prepare_inputs(inputs)
        with self.packed(model, inputs):
            return super().prediction_step(model, inputs, *args, **kwargs)

    def compute_ref_log_probs(self, model: Any, inputs: dict[str, Any]) -> Any:
        with self.packed(model, inputs):
            return super().compute_ref_log_probs(model, _for_trl(inputs))

    def _compute_loss(self, model: Any, inputs: dict[str, Any], return_outputs: bool) -> Any:
        layout = inputs.get(TRUNK)
        if self._is_packed and layout is not None:
            mode = "train" if self.model.training else "eval"
            self._metrics[mode]["trunk/token_ratio"].append(layout.row_tokens / layout.tokens)
        elif not self._method.pairwise:
            model = ChosenRows(model)
        return super()._compute_loss(model, _for_trl(inputs), return_outputs)

    @contextmanager
    def packed(self, model: Any, inputs: dict[str, Any]) -> Iterator[None]:
        """Within the context, TRL's calls of policy (`model`) and reference weigh tokens as the batch says.

        And they run each shared token once, if possible.
        """
        layout = inputs.get(TRUNK)
        models = [self.accelerator.unwrap_model(m) for m in (model, self.model, self.ref_model) if m is not None]
        models = list({id(m): m for m in models}.values())
        if layout is not None and layout.tokens == 0:
            layout = None
        if layout is not None and self.trunk_mode is None and self.trunk_off_reason is None:
            self._decide_trunk(model, models, inputs)
        with ExitStack() as stack:
            if layout is not None and self.trunk_mode is not None:
                stack.enter_context(installed(models, layout, self.trunk_mode))
                stack.enter_context(assigned([self], "_is_packed", True))
            stack.enter_context(weighed(models, inputs.get(WEIGHTS), inputs.get(PAIR_WEIGHTS)))
            yield

    def _decide_trunk(self, model: Any, models: list[Any], inputs: dict[str, Any]) -> None:
        """Set `trunk_mode` or `trunk_off_reason`."""
        wanted, parallelism = self.args.trunk_attention, self.accelerator.parallelism_config
        reason = obstacle(
            models[0],
            aux_loss=self.aux_loss_enabled,
            sequence_parallel=parallelism is not None and max(parallelism.cp_size, parallelism.sp_size) > 1,
            dropout=not self.args.disable_dropout,
            longest=self.args.max_length,
        )
        if reason is None:
            self.trunk_mode = choose(wanted, model, models, inputs, self.accelerator)
            if self.trunk_mode is not None:
                return
            reason = "no way of attention gave the same values"
        if wanted != AUTO:
            network = type(models[0]).__name__
            raise TrainingError(f"trunk_attention={wanted} can't run {network}: {reason}; set it to auto or off")
        logger.warning(_TRUNK_IS_OFF, reason)
        self.trunk_off_reason, self.data_collator.trunk = reason, False


def _for_trl(inputs: dict[str, Any]) -> dict[str, Any]:
    """A batch without what is ours, which TRL would hand to the model."""
    return {name: value for name, value in inputs.items() if name not in OURS}
