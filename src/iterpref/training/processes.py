"""What processes that train together must do alike, and what the first of them does while the others wait.

All of it goes over a gloo group of its own. On the group of the training, NCCL's, a wait runs into its time limit (30
minutes) while a checkpoint is scored, and keeps the waiting GPUs busy.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import Any, TypeVar

from accelerate import PartialState
from torch import distributed

from iterpref.training.contexts import assigned

Value = TypeVar("Value")

_PATIENCE = timedelta(days=7)
_SHARDS_WHAT_IS_LOADED = ("ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED")


@cache
def _group() -> Any:
    return distributed.new_group(backend="gloo", timeout=_PATIENCE)


def wait_for_all() -> None:
    """Go on when every process is here, be it after hours."""
    if PartialState().num_processes > 1:
        distributed.barrier(group=_group())


def from_first(value: Value) -> Value:
    """The first process's value, on all of them. It is pickled; the others may have to wait for it for hours."""
    if PartialState().num_processes == 1:
        return value
    values = [value]
    distributed.broadcast_object_list(values, src=0, group=_group())
    return values[0]


def from_all(value: Value) -> list[Value]:
    """Every process's value, in the order of their ranks."""
    if PartialState().num_processes == 1:
        return [value]
    values: list[Any] = [None] * PartialState().num_processes
    distributed.all_gather_object(values, value, group=_group())
    return values


@contextmanager
def alone() -> Iterator[None]:
    """Within the context, what this process loads is loaded whole and by itself.

    While a launcher's engine cuts up what is trained, transformers would cut up every other model, too, and wait for
    the processes that don't load it.
    """
    from transformers.integrations import deepspeed

    flags = {name: os.environ.pop(name) for name in _SHARDS_WHAT_IS_LOADED if name in os.environ}
    try:
        with assigned([deepspeed], "_hf_deepspeed_config_weak_ref", None):
            yield
    finally:
        os.environ.update(flags)
