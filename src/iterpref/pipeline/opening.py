"""What the steps work with, opened as the configuration says: sandbox, model clients, tokenizer.

In: a run folder's store and configuration. Out: `Opened`, which the steps build on. Not here: any step.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from iterpref.clients import Budget, ClientConfig, Ledger, open_ledger
from iterpref.config import Config
from iterpref.errors import ConfigError
from iterpref.playground.coder import resolve_model
from iterpref.sandbox import Sandbox
from iterpref.sandbox.remote import RemoteSandbox
from iterpref.store import Store


class OnProgress(Protocol):
    """Told how far a step has come."""

    def __call__(self, what: str, done: int, total: int, note: str) -> None: ...


def quiet(what: str, done: int, total: int, note: str) -> None:
    """Shows nothing."""


@dataclass(frozen=True)
class Opened:
    """One run folder with its configuration."""

    store: Store
    config: Config
    on_progress: OnProgress = quiet

    @property
    def pairs_folder(self) -> Path:
        return self.store.folder / "pairs"

    @property
    def model_folder(self) -> Path:
        return self.store.folder / "model"

    def ledger(self, settings: ClientConfig, budget: Budget | None = None) -> AbstractContextManager[Ledger]:
        """A client behind this run's ledger."""
        return open_ledger(settings, self.store, budget)


def open_sandbox(config: Config, hash_seed: int = 0) -> Sandbox:
    settings = config.sandbox
    return Sandbox(settings.workers, settings.preload, settings.isolation, settings.min_isolation, hash_seed)


def open_grading(config: Config) -> Sandbox | RemoteSandbox:
    """What runs the programs of debugging: this machine's sandbox, or one per worker of a cluster.

    Raises:
        ConfigError: Only a cluster can do the grading elsewhere.
    """
    parallel = config.parallel
    if parallel.backend == "serial" or parallel.what == "shards":
        return open_sandbox(config)
    if parallel.backend == "processes":
        raise ConfigError("parallel.what is grading, which needs parallel.backend=ray; on one machine the sandbox "
                          "runs programs on all cores already (sandbox.workers)")  # fmt: skip
    alone = config.model_copy(update={"sandbox": config.sandbox.model_copy(update={"workers": 1})})
    return RemoteSandbox(partial(open_sandbox, alone), parallel.workers)


def token_counter(tokenizer: str) -> Callable[[str], int]:
    """Tokens that a text has under a model's tokenizer."""
    from transformers import AutoTokenizer

    loaded: Any = AutoTokenizer.from_pretrained(resolve_model(tokenizer))
    return lambda text: len(loaded(text, add_special_tokens=False)["input_ids"])
