"""Which way of attention, if any: what rules a model out, and a comparison with separate sequences on real rows.

`auto` falls back to separate sequences; a way that was asked for by name is an error if it fails.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from accelerate import Accelerator
from torch.nn import Module

from iterpref.errors import TrainingError
from iterpref.training.contexts import without_checkpointing
from iterpref.training.trunk.install import causal_model, cpu_tiles, installed
from iterpref.training.trunk.layout import batch_layout

logger = logging.getLogger(__name__)

AUTO, OFF = "auto", "off"
MIXED = {"bf16": torch.bfloat16, "fp16": torch.float16}
# Largest mean |log p - log p'| over a row's tokens with loss. TRL's head computes in float32.
TOLERANCES = {torch.float64: 1e-4, torch.float32: 1e-4, torch.bfloat16: 5e-2, torch.float16: 5e-2}


def obstacle(
    model: Module, *, aux_loss: bool, sequence_parallel: bool, dropout: bool, longest: int | None = None
) -> str | None:
    """Why a model can't be run as trunk and branches, as far as its configuration tells; None if nothing does.

    `model` is unwrapped, but for an adapter; the switches say what else is on in this training, `longest` how many
    tokens a row has at most: a window that holds them all hides none.
    """
    network = causal_model(model)
    config = network.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ()) - {"full_attention"}
    adapters: Mapping[str, Any] = getattr(model, "peft_config", {})
    window = getattr(config, "sliding_window", None) if getattr(config, "use_sliding_window", True) else None
    narrow = window is not None and (longest is None or window < longest)
    findings = {
        "it is an encoder-decoder": getattr(network.config, "is_encoder_decoder", False),
        "its layers keep a running state": getattr(network, "_is_stateful", False),
        f"it has layers of other kinds ({', '.join(sorted(kinds))})": kinds,
        f"its attention sees a window of {window} tokens": narrow,
        "its load-balancing loss counts every routed token": aux_loss,
        "its adapter prepends virtual tokens": any(a.is_prompt_learning for a in adapters.values()),
        "a row is shared between processes": sequence_parallel,
        "dropout is on, and shared tokens would share their noise": dropout,
        "its attention can't be exchanged (no transformers attention interface)": not getattr(
            network, "_supports_attention_backend", False
        ),
    }
    return next((reason for reason, found in findings.items() if found), None)


def candidates(wanted: str, dtype: torch.dtype, device: torch.device) -> tuple[str, ...]:
    """The ways to try, best first."""
    if wanted != AUTO:
        return (wanted,)
    return ("varlen", "split", "sdpa") if varlen_usable(dtype, device) else ("split", "sdpa")


def varlen_usable(dtype: torch.dtype, device: torch.device) -> bool:
    """Whether torch's variable-length flash kernel can run here: CUDA, 16 bits, Ampere or later."""
    if device.type != "cuda" or dtype not in (torch.bfloat16, torch.float16):
        return False
    try:
        from torch.nn.attention.varlen import varlen_attn  # noqa: F401
    except ImportError:
        return False
    return torch.cuda.get_device_capability(device)[0] >= 8


def choose(
    wanted: str, model: Any, models: Sequence[Any], inputs: Mapping[str, Any], accelerator: Accelerator
) -> str | None:
    """The first candidate that gives the same log-probabilities for the batch's first pair; None if none does.

    Args:
        model: What TRL calls: the policy with its distributed wrapper.
        models: The unwrapped models behind it.
        inputs: The batch in TRL's form, on the device.

    Raises:
        TrainingError: A way asked for by name fails.
    """
    dtype = MIXED.get(accelerator.mixed_precision, models[0].dtype)
    allowed = TOLERANCES.get(dtype, 5e-2)
    for mode in candidates(wanted, dtype, inputs["input_ids"].device):
        difference, problem = _tried(model, models, inputs, mode, accelerator)
        if difference <= allowed:
            return mode
        found = (
            f"trunk_attention={mode} gives other log-probabilities than separate sequences (mean difference "
            f"{difference:.2g} per token, {allowed:.0e} allowed in {dtype}){problem}"
        )
        if wanted != AUTO:
            raise TrainingError(f"{found}; set trunk_attention to auto or off")
        logger.warning("%s.", found)
    return None


def _tried(
    model: Any, models: Sequence[Any], inputs: Mapping[str, Any], mode: str, accelerator: Accelerator
) -> tuple[float, str]:
    """The largest difference of all processes, which must choose alike, and why this one's is infinite."""
    problem = ""
    try:
        with torch.no_grad(), without_checkpointing(models), accelerator.autocast():
            difference = _difference(model, models, inputs, mode)
    except (TrainingError, RuntimeError, TypeError, ValueError, NotImplementedError) as error:
        difference, problem = float("inf"), f": {type(error).__name__}: {error}"
    return float(accelerator.gather(torch.tensor([difference]).to(accelerator.device)).max()), problem


def _difference(model: Any, models: Sequence[Any], inputs: Mapping[str, Any], mode: str) -> float:
    """The larger of the two rows' mean absolute differences, over the first pair of a batch."""
    pairs = len(inputs["input_ids"]) // 2
    ids, attention, loss = (inputs[k][[0, pairs]] for k in ("input_ids", "attention_mask", "completion_mask"))
    call = {
        "input_ids": ids,
        "attention_mask": attention,
        "labels": ids.masked_fill(loss == 0, -100),
        "use_cache": False,
        "fused_lm_head": True,
    }
    with cpu_tiles(ids.device):  # or this comparison would need more memory than any step
        expected = model(**call).log_probs
    layout = batch_layout(ids.cpu(), attention.cpu(), loss.cpu()).to(ids.device)
    with installed(models, layout, mode):
        got = model(**call).log_probs
    per_row = (got - expected).abs().sum(dim=1) / loss[:, 1:].sum(dim=1).clamp(min=1)
    return float(per_row.max()) if per_row.isfinite().all() else float("inf")
