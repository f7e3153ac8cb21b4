"""What holds only while a context is open: a model's attributes, no checkpointing, quiet libraries."""

import os
import warnings
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from logging import LogRecord, getLogger
from typing import Any

import datasets
from transformers.utils import logging

TQDM = "TQDM_DISABLE"


@contextmanager
def assigned(holders: Iterable[Any], name: str, value: Any) -> Iterator[None]:
    """Within the context, an attribute of these objects has another value."""
    before = [(holder, getattr(holder, name)) for holder in holders]
    for holder, _ in before:
        setattr(holder, name, value)
    try:
        yield
    finally:
        for holder, old in before:
            setattr(holder, name, old)


def without_checkpointing(models: Iterable[Any]) -> AbstractContextManager[None]:
    """Within the context no layer is run again in a backward pass: for calls without gradients.

    TRL's function of this purpose reads a property that transformers deprecates, which warns in every run.
    """
    layers = [layer for model in models for layer in model.modules() if getattr(layer, "gradient_checkpointing", False)]
    return assigned(layers, "gradient_checkpointing", False)


@contextmanager
def quiet(bars: bool) -> Iterator[None]:
    """Within the context, transformers deprecates nothing, TRL says of no setting that we use that it is ignored, and,
    without `bars`, nobody draws a progress bar."""
    with warnings.catch_warnings(), ExitStack() as undo:
        trl = getLogger("trl.trainer.dpo_trainer")
        trl.addFilter(_is_true)
        undo.callback(trl.removeFilter, _is_true)
        warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
        if not bars:
            _stop_bars(undo)
        yield


def _is_true(record: LogRecord) -> bool:
    """`model_init_kwargs` is used, by us, when the model is loaded; TRL, given that model, calls it ignored."""
    return "`model_init_kwargs`" not in str(record.msg)


def _stop_bars(undo: ExitStack) -> None:
    if not datasets.utils.are_progress_bars_disabled():
        undo.callback(datasets.utils.enable_progress_bars)
    if logging.is_progress_bar_enabled():
        undo.callback(logging.enable_progress_bar)
    undo.callback(_set_tqdm, os.environ.get(TQDM))
    datasets.utils.disable_progress_bars()
    logging.disable_progress_bar()
    _set_tqdm("1")  # TRL reads it when it computes reference values


def _set_tqdm(value: str | None) -> None:
    os.environ.pop(TQDM, None)
    if value is not None:
        os.environ[TQDM] = value
