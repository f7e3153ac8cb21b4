"""Numbers that are no longer finite stop a training, for the model that it would end with answers nothing.

Seen on a real model: a loss of 0.693 in the first step and a gradient of NaN; from then on transformers logs a loss of
0. The cause was a kernel, which is kept out here, too.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import TrainerCallback

from iterpref.errors import TrainingError
from iterpref.training.processes import from_all
from iterpref.training.sharding import part_of

_ADVICE = (
    "nothing was saved from there on. If the loss grew before, lower training.learning_rate; if it didn't, try "
    "training.bf16=false or training.trunk_attention=off, and report what `iterpref doctor` prints"
)


class DivergenceGuard(TrainerCallback):
    """Raises TrainingError at the first log of a gradient that isn't finite."""

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **kwargs: Any) -> None:
        norm = (logs or {}).get("grad_norm")
        if norm is not None and not math.isfinite(norm) and not args.fp16:  # fp16's scaler leaves such steps out
            raise TrainingError(f"training: the gradient is {norm} at step {state.global_step}; {_ADVICE}")


def check_loss(loss: torch.Tensor | None, step: int) -> None:
    """Refuse to go on after a loss that isn't finite; `step`: how many the optimizer has made.

    Raises:
        TrainingError: Names the step.
    """
    if loss is not None and not bool(torch.isfinite(loss).all()):
        raise TrainingError(f"training: the loss is {float(loss)} after step {step}; {_ADVICE}")


def check_parameters(model: Any) -> None:
    """Refuse to save a model whose trained parameters aren't finite.

    Raises:
        TrainingError: Names the first such parameter.
    """
    trained = ((name, part_of(tensor)) for name, tensor in model.named_parameters() if tensor.requires_grad)
    bad = next((name for name, part in trained if not bool(torch.isfinite(part).all())), None)
    found = next((name for name in from_all(bad) if name), None)  # all processes stop, or none
    if found:
        raise TrainingError(f"training: {found} is no longer finite at the end; {_ADVICE}")


@contextmanager
def without_cudnn_attention() -> Iterator[None]:
    """Within the context, attention isn't computed by cuDNN, whose choice of a kernel is torch's own otherwise.

    On H100 and H200 its backward pass under a mask gives NaN at some lengths (pytorch #196678, cudnn-frontend #1072;
    torch 2.11 to 2.13), and Qwen2.5 is a model whose activations meet the condition (trl #7181).
    """
    before = bool(torch._C._get_cudnn_sdp_enabled())
    torch.backends.cuda.enable_cudnn_sdp(False)
    try:
        yield
    finally:
        torch.backends.cuda.enable_cudnn_sdp(before)
