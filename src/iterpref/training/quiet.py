"""Keep libraries quiet while they train: their deprecations of each other and, unless wanted, their progress bars."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import datasets
from transformers.utils import logging as transformers_logging


@contextmanager
def quiet(bars: bool) -> Iterator[None]:
    """Silence what transformers and TRL deprecate in each other and, without `bars`, their bars; then undo that."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
        if bars:
            yield
        else:
            with _without_bars():
                yield


@contextmanager
def _without_bars() -> Iterator[None]:
    of_datasets = not datasets.utils.are_progress_bars_disabled()
    of_transformers = transformers_logging.is_progress_bar_enabled()
    datasets.utils.disable_progress_bars()
    transformers_logging.disable_progress_bar()
    try:
        with _environment("TQDM_DISABLE", "1"):  # TRL reads it when it computes reference values
            yield
    finally:
        if of_datasets:
            datasets.utils.enable_progress_bars()
        if of_transformers:
            transformers_logging.enable_progress_bar()


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """Within the context, an environment variable has this value."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
