"""READ FIRST: the whole method, arrow by arrow.

    tasks → trajectories → pairs → checkpoint → results → report

Each step reads and writes records in one run folder, so that each can be run alone, repeated, or continued after a
kill; the CLI's verbs are these functions.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from iterpref.analysis.funnel import FilterRow, pair_funnel
from iterpref.clients import Budget, Ledger, Price, open_client
from iterpref.config import ClientConfig, Config, DebuggingConfig
from iterpref.debugging.debug import Debugger, DebugProgress, debug
from iterpref.debugging.estimate import estimate
from iterpref.errors import StoreError
from iterpref.evaluation.benchmarks import load_benchmark
from iterpref.evaluation.evaluate import evaluate
from iterpref.importing import detect_format, import_pairs, import_recorded, import_tasks
from iterpref.pairing.dataset import write_dataset
from iterpref.pairing.filters import estimated_tokens
from iterpref.pairing.pair import pair
from iterpref.playground.coder import coder_path
from iterpref.records import Result
from iterpref.sandbox import Executor, Sandbox
from iterpref.store import Store
from iterpref.training.train import TrainSummary, train
from iterpref.viewer.report import write_report


class OnProgress(Protocol):
    """Told how far a step has come."""

    def __call__(self, what: str, done: int, total: int, note: str) -> None: ...


def quiet(what: str, done: int, total: int, note: str) -> None:
    """Shows nothing."""


@dataclass(frozen=True)
class Run:
    """One run folder with its configuration."""

    store: Store
    config: Config
    on_progress: OnProgress = quiet

    def run(self) -> None:
        """The main job, every arrow once; what is done already is not done again."""
        self.evaluate(self.config.model)
        self.debug()
        self.pair()
        self.train()
        self.evaluate(str(self.model_folder))
        self.report()

    def import_source(self, source: str, columns: Mapping[str, str]) -> dict[str, Any]:
        """Tasks, recorded runs, or existing pairs → records; returns what was found, by the source's kind.

        `columns` (name → column) is for pairs only.
        """
        kind = detect_format(source, columns)
        if kind == "tasks":
            return import_tasks(source, self.store).model_dump()
        if kind == "pairs":
            return import_pairs(source, self.store, columns).model_dump()
        with open_sandbox(self.config) as sandbox:
            show = partial(self.on_progress, "import", note="")
            return import_recorded(source, self.store, sandbox, self.config.limits, show).model_dump(mode="json")

    def debug(self, settings: DebuggingConfig | None = None) -> DebugProgress:
        """Tasks → trajectories."""
        settings = settings or self.config.debugging
        tasks = self.store.tasks(settings.split)
        total = self.store.count("tasks", *(("split = ?", settings.split) if settings.split else ()))
        if not total:
            where = f" of split {settings.split}" if settings.split else ""
            raise StoreError(f"{self.store.folder}: no tasks{where} to debug; import some first (iterpref import FILE)")
        with ExitStack() as tools:
            budget = Budget(self.config.budget, self.store)
            ledger = tools.enter_context(self.ledger(self.config.client, budget))
            repair = self.config.repair_client if settings.mode == "debugging" else None
            repair_ledger = tools.enter_context(self.ledger(repair, budget)) if repair else None
            sandbox = tools.enter_context(open_sandbox(self.config))
            executor = Executor(sandbox, self.store, self.config.seed, self.config.limits)
            debugger = Debugger(ledger, executor, self.store, settings, self.config.seed, repair_ledger=repair_ledger)
            show = partial(self._show_debugging, settings.mode, budget)
            return asyncio.run(debug(debugger, tasks, total, show))

    def estimate_debugging(self) -> dict[str, int | float | str]:
        """Calls and US dollars that `debug` would take; makes no call."""
        return estimate(self.store, self.config.debugging, self.config.client, self.config.repair_client)

    def pair(self) -> list[FilterRow]:
        """Trajectories and imported pairs → focal preference pairs, in the store and as `pairs/`."""
        settings = self.config.pairing
        count = token_counter(settings.tokenizer) if settings.tokenizer else estimated_tokens
        self.store.replace_pairs(pair(self.store, settings, self.config.seed, count))
        funnel = pair_funnel(self.store.pairs())
        steps = [("candidates", self.store.count("pairs")), *((row.name, row.left) for row in funnel)]
        described = settings.model_dump() | {"seed": self.config.seed}
        write_dataset(self.pairs_folder, self.store.pairs(kept=True), steps, self.store.licenses(), described)
        return funnel

    def train(self) -> TrainSummary:
        """Pairs → checkpoint in `model/`."""
        return train_run(self.store.folder, self.config, self.on_progress)

    def evaluate(self, model: str) -> Result:
        """Model → Result on the configured benchmark, also written to `results/`."""
        settings = self.config.evaluation
        tasks = load_benchmark(settings.benchmark, settings.split, settings.tasks, self.config.seed)
        client = self.config.client.model_copy(update={"kind": "local", "model": model})
        with self.ledger(client) as ledger, open_sandbox(self.config) as sandbox:
            result = asyncio.run(
                evaluate(
                    tasks,
                    settings.benchmark,
                    ledger,
                    sandbox,
                    self.store,
                    settings,
                    self.config.seed,
                    self.config.limits,
                    partial(self.on_progress, "evaluate"),
                )
            )
        folder = self.store.folder / "results"
        folder.mkdir(exist_ok=True)
        (folder / f"{result.result_id}.json").write_text(result.model_dump_json(indent=1), encoding="utf-8")
        return result

    def report(self) -> Path:
        """Everything above → `report.html`."""
        return write_report(self.store)

    @property
    def pairs_folder(self) -> Path:
        return self.store.folder / "pairs"

    @property
    def model_folder(self) -> Path:
        return self.store.folder / "model"

    @contextmanager
    def ledger(self, settings: ClientConfig, budget: Budget | None = None) -> Iterator[Ledger]:
        """A client behind this run's ledger."""
        client = open_client(settings, resolve_model(settings.model) if settings.kind == "local" else settings.model)
        try:
            yield Ledger(client, self.store, budget, Price.of(settings))
        finally:
            client.close()

    def _show_debugging(self, mode: str, budget: Budget, progress: DebugProgress) -> None:
        rates = " ".join(f"{rate:.0%}" for rate in progress.pass_rates)
        spent = f", {budget.calls} calls, ${budget.usd:.3f}" if budget.calls else ""
        self.on_progress(mode, progress.done, progress.total, f"passed by iteration: {rates}{spent}")


def train_run(folder: Path, config: Config, on_progress: OnProgress = quiet) -> TrainSummary:
    """Train on a run folder's Parquet; opens no database, so that it works on every node of a launcher."""

    def show(step: int, steps: int, metrics: Mapping[str, float]) -> None:
        on_progress("train", step, steps, f"loss {metrics['loss']:.3f}" if "loss" in metrics else "")

    settings = {"seed": config.seed} | config.training
    return train(folder / "pairs", resolve_model(config.model), folder / "model", settings, on_progress=show)


def open_sandbox(config: Config) -> Sandbox:
    settings = config.sandbox
    return Sandbox(settings.workers, settings.preload, settings.isolation, settings.min_isolation)


def resolve_model(name: str) -> str:
    """`playground` is the coder that ships with the package; anything else is a folder or a hub id."""
    return str(coder_path()) if name == "playground" else name


def token_counter(tokenizer: str) -> Callable[[str], int]:
    """Tokens that a text has under a model's tokenizer."""
    from transformers import AutoTokenizer

    loaded: Any = AutoTokenizer.from_pretrained(resolve_model(tokenizer))
    return lambda text: len(loaded(text, add_special_tokens=False)["input_ids"])
