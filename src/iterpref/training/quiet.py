"""Libraries kept quiet while they train: their deprecations of each other and, unless wanted, their progress bars."""

import os
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import datasets
from transformers.utils import logging

TQDM = "TQDM_DISABLE"


@contextmanager
def quiet(bars: bool) -> Iterator[None]:
    """Within the context, transformers deprecates nothing and, without `bars`, nobody draws a progress bar."""
    with warnings.catch_warnings(), ExitStack() as undo:
        warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
        if not bars:
            _stop_bars(undo)
        yield


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
