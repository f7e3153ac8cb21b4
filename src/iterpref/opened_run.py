"""A run folder opened with its configuration, and the tools that its steps work with.

In: a store and a configuration. Out: sandboxes, models behind the run's ledger, and a way to tell how far a step has
come. Not here: any step (pipeline.py and the stages).
"""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial, wraps
from typing import Any, Concatenate, ParamSpec, Protocol, Self, TypeVar

from iterpref.clients import Budget, ClientConfig, Ledger, open_ledger
from iterpref.clients.activity import told
from iterpref.config import Config, SandboxConfig
from iterpref.config.stages import settings_of
from iterpref.doing import doing
from iterpref.errors import ConfigError, StoreError
from iterpref.executor import Executor, Runs
from iterpref.model_source import loading, model_source
from iterpref.packages import need_packages
from iterpref.playground.coder import resolve_model
from iterpref.prompts.own import Prompts
from iterpref.run_folder import RunFolder, again_note, settings_note
from iterpref.sandbox import Sandbox
from iterpref.sandbox.remote import AnySandbox, RemoteSandbox, connect
from iterpref.store import Store

P = ParamSpec("P")
T = TypeVar("T")


class OnProgress(Protocol):
    """Told how far a step has come."""

    def __call__(self, what: str, done: int, total: int, note: str) -> None: ...


class Progress(Protocol):
    """Counts of a step under way; `note` is a few words on them."""

    @property
    def done(self) -> int: ...
    @property
    def total(self) -> int: ...
    @property
    def note(self) -> str: ...


def quiet(what: str, done: int, total: int, note: str) -> None:
    """Shows nothing."""


@dataclass(frozen=True)
class OpenedRun:
    """One run folder, open for writing unless its store is not; what `open_run` gives.

    `store` has its records, `config` its settings, `folder` its paths; `on_progress` is told how far a step has come.
    The functions of `iterpref.pipeline` take it, and so does `debug_with`.

    Raises:
        StoreError, ConfigError: What a step needs isn't there; each says what to do.
    """

    store: Store
    config: Config
    on_progress: OnProgress = quiet
    answers_since: int | None = None
    """Answers stored up to this one (`Store.last_call`) are asked for again; None: none is."""

    @property
    def folder(self) -> RunFolder:
        return RunFolder(self.store.folder)

    @cached_property
    def prompts(self) -> Prompts:
        """The questions put to models; ConfigError where the user's can't be used."""
        return Prompts.read(self.config.prompts)

    def shows(self, what: str) -> Callable[[Progress], None]:
        """Tells the progress of step `what` to whoever watches this run."""
        return lambda progress: self.on_progress(what, progress.done, progress.total, progress.note)

    @contextmanager
    def noting(self, stage: str) -> Iterator[None]:
        """Notes the settings that `stage` runs with; not where it fails before it has stored anything."""
        key, settings, work = settings_note(stage), settings_of(self.config, stage), self.store.count_work()
        before = self.store.note(key) or []
        self.store.put_note(key, [*(earlier for earlier in before if earlier != settings), settings])
        try:
            yield
        except BaseException:
            if self.store.count_work() == work:
                self.store.put_note(key, before)
            raise

    def need(self, there: int, what: str, how: str) -> None:
        """StoreError where a step has nothing to work on: most likely it came too early."""
        if not there:
            raise StoreError(f"{self.store.folder}: no {what}; {how}")

    def budget(self) -> Budget:
        """What calls may cost, counted from what the run has spent."""
        return Budget(self.config.budget, self.store)

    @contextmanager
    def ledger(self, settings: ClientConfig, budget: Budget | None = None, raw: bool = False) -> Iterator[Ledger]:
        """A client behind this run's ledger; `budget` is shared where a step asks several; `raw`: see `Request`."""
        opened = open_ledger(settings, self.store, budget or self.budget(), self.answers_since or 0, raw)
        with opened as ledger, told(ledger.client, self.shows("answers")):
            yield ledger

    def judge_ledger(self) -> AbstractContextManager[Ledger]:
        """The model that judges; without one of its own, the model that debugs."""
        return self.ledger(self.config.judge_client or self.config.client)

    @property
    def asks_again(self) -> bool:
        """Whether what was answered before is asked again."""
        return self.answers_since is not None

    @contextmanager
    def asking_again(self, step: str) -> Iterator[Self]:
        """This run for a step that asks everything again: an answer stays until the one that replaces it comes.

        Where it is stopped, doing the same again goes on: what it asked is not asked once more.
        """
        since = self.store.note(again_note(step))
        if since is None:
            since = self.store.last_call()
            self.store.put_note(again_note(step), since)
            self.store.forget_dead_letters()
        yield replace(self, answers_since=since)
        self.store.put_note(again_note(step), None)

    def sandbox(self, hash_seed: int = 0) -> AnySandbox:
        return open_sandbox(self.config.sandbox, hash_seed)

    def executor(self, sandbox: Runs) -> Executor:
        """The sandbox behind this run's cache of executions."""
        return Executor(sandbox, self.store, self.config.seed, self.config.limits)

    def grading_sandbox(self) -> AnySandbox | RemoteSandbox:
        """What runs the programs of debugging: this machine's sandbox, or one per worker of a cluster.

        Raises:
            ConfigError: Only a cluster can do the grading elsewhere.
        """
        parallel = self.config.parallel
        if parallel.backend == "serial" or parallel.what == "shards":
            return self.sandbox()
        if parallel.backend == "processes":
            raise ConfigError(
                "parallel.what is grading, which needs parallel.backend=ray; on one machine the sandbox runs programs "
                "on all cores already (sandbox.workers)"
            )
        one_worker = self.config.sandbox.model_copy(update={"workers": 1})
        return RemoteSandbox(partial(open_sandbox, one_worker), parallel.workers)

    def token_counter(self, tokenizer: str) -> Callable[[str], int]:
        """Tokens that a text has under a model's tokenizer."""
        source = model_source(resolve_model(tokenizer), weights=False)
        need_packages("pairing.tokenizer", "transformers")
        from transformers import AutoTokenizer

        with loading(tokenizer):
            loaded: Any = AutoTokenizer.from_pretrained(source)
        return lambda text: len(loaded(text, add_special_tokens=False)["input_ids"])


Step = Callable[Concatenate[OpenedRun, P], T]


def stage(name: str) -> Callable[[Step[P, T]], Step[P, T]]:
    """A step whose settings the run notes as those of `name`; see `OpenedRun.noting`."""

    def decorate(step: Step[P, T]) -> Step[P, T]:
        @wraps(step)
        def noting(run: OpenedRun, /, *args: P.args, **kwargs: P.kwargs) -> T:
            with run.noting(name):
                return step(run, *args, **kwargs)

        return noting

    return decorate


def open_sandbox(settings: SandboxConfig, hash_seed: int = 0) -> AnySandbox:
    """A sandbox as a run's configuration says: on this machine, or behind a service; picklable, for workers elsewhere.

    Raises:
        SandboxError: This machine isolates too little; the service can't be reached, or can't stand for this machine.
    """
    minimum = settings.min_isolation
    if settings.service:
        return connect(settings.service, os.environ.get("ITERPREF_TOKEN"), settings.workers, minimum, hash_seed)
    with doing("starting the sandbox"):
        return Sandbox(settings.workers, settings.preload, settings.isolation, minimum, hash_seed)
