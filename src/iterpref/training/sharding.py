"""A model that processes share among them (FSDP, DeepSpeed's ZeRO-3): its parts, its size, its frozen reference.

Of a tensor that is cut up, `numel` says other things in each engine: FSDP2's DTensors have that of the whole, ZeRO-3
leaves an empty tensor in place and notes the whole in `ds_numel` and its own part in `ds_tensor`.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils.fsdp_utils import fsdp2_prepare_model
from torch import distributed
from torch.distributed.fsdp import StateDictType
from torch.distributed.tensor import DTensor
from torch.nn import Parameter, ParameterList
from trl.models import prepare_fsdp
from trl.trainer import dpo_trainer
from trl.trainer.utils import hash_module

from iterpref.errors import TrainingError
from iterpref.training.config import FocalDPOConfig
from iterpref.training.contexts import assigned
from iterpref.training.methods import METHODS
from iterpref.training.processes import from_all, from_first


def part_of(tensor: torch.Tensor) -> torch.Tensor:
    """What this process holds of a parameter."""
    if isinstance(tensor, DTensor):
        return tensor.to_local()
    held, group = (getattr(tensor, name, None) for name in ("ds_tensor", "ds_process_group"))
    if held is None:
        return tensor
    before = distributed.get_rank(group) * held.numel()  # all parts have one length, and the last ones' ends are unset
    return held[: max(0, whole_numbers(tensor) - before)]


def whole_numbers(tensor: torch.Tensor) -> int:
    """How many numbers a parameter has, all processes' parts together."""
    return int(getattr(tensor, "ds_numel", tensor.numel()))


def whole_bytes(tensor: torch.Tensor) -> int:
    """The same in bytes."""
    return whole_numbers(tensor) * tensor.element_size()


def uses_fsdp(args: FocalDPOConfig) -> bool:
    """Whether the launcher, or `fsdp`, asks for FSDP."""
    return bool(args.fsdp) or os.environ.get("ACCELERATE_USE_FSDP", "false").lower() in ("true", "1")


def saved_in_parts(accelerator: Any) -> list[Any]:
    """FSDP's plugin in a list, where it writes checkpoints in parts; of these transformers saves no whole model."""
    plugin = getattr(accelerator.state, "fsdp_plugin", None)
    return [plugin] if plugin is not None and plugin.state_dict_type != StateDictType.FULL_STATE_DICT else []


def without_copies(weights: dict[str, torch.Tensor] | None, model: Any) -> dict[str, torch.Tensor] | None:
    """Gathered weights as transformers saves a model's own: a tied head, which has become a tensor of its own, once."""
    tied = getattr(model, "all_tied_weights_keys", None) or {}
    if weights is None:
        return None
    copies = {
        name
        for name, source in tied.items()
        if name in weights and source in weights and torch.equal(weights[name], weights[source])
    }
    return {name: value for name, value in weights.items() if name not in copies}


@contextmanager
def shared_by_processes() -> Iterator[None]:
    """Within the context, a trainer of TRL's that is made treats its model as one of which processes hold parts."""
    with (
        assigned([dpo_trainer], "prepare_fsdp", _shard_reference),
        assigned([dpo_trainer], "hash_module", _hash_of_whole),
    ):
        yield


def _hash_of_whole(model: Any) -> str:
    """TRL's key of precomputed references: the first process's, for under FSDP the others may have no weights yet.

    Under ZeRO-3 all have empty tensors, whose hash is that of every model of this shape, so their parts are taken.
    """
    if any(hasattr(tensor, "ds_tensor") for tensor in model.parameters()):
        parts = ParameterList(Parameter(part_of(tensor), requires_grad=False) for tensor in model.parameters())
        return " ".join(from_all(hash_module(parts)))
    return from_first(hash_module(model) if PartialState().is_main_process else "")


def _shard_reference(model: Any, accelerator: Any) -> Any:
    """Cut the frozen reference up as the policy is: layer by layer, from the weights that the first process has.

    TRL's function of this purpose makes one part of all layers, which is gathered whole in each pass; and where only
    the first process read the weights (`fsdp_cpu_ram_efficient_loading`), it cuts up what the others have instead.
    """
    if not accelerator.is_fsdp2:
        return prepare_fsdp(model, accelerator)
    return fsdp2_prepare_model(accelerator, model.requires_grad_(False)).eval()


def check_reference(args: FocalDPOConfig, adapter: bool) -> None:
    """Refuse reference values of an adapter's base that TRL would compute before FSDP has placed and cut up the model.

    Raises:
        TrainingError: Says what to set instead.
    """
    if adapter and args.precompute_ref_log_probs and METHODS[args.method].reference and uses_fsdp(args):
        raise TrainingError(
            "training: precompute_ref_log_probs=true with an adapter can't be used under FSDP, for TRL would run the "
            "model before it is shared out; leave it out: the reference is the model with its adapter switched off, "
            "and takes no memory"
        )
