"""The whole method, arrow by arrow; a step that is long stands in tasks.py or debugging.py."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from iterpref.analysis.dataset import dataset_facts
from iterpref.analysis.funnel import FilterRow, pair_funnel
from iterpref.clients import Budget, in_this_process
from iterpref.config import Config
from iterpref.errors import ConfigError
from iterpref.evaluation.answers import Generated, Recorded
from iterpref.evaluation.benchmarks import Window, load_benchmark
from iterpref.evaluation.evaluate import evaluate
from iterpref.evaluation.samples import read_samples, write_samples
from iterpref.exporting import FORMATS, dataset_card, push_to_hub, write_export
from iterpref.exporting.write import DATA_FILE
from iterpref.pairing.filters import estimated_tokens
from iterpref.pairing.pair import pair
from iterpref.pairing.parquet import PARQUET, write_dataset
from iterpref.playground.coder import resolve_model
from iterpref.records import Result
from iterpref.training.train import TrainSummary, train
from iterpref.viewer.report import write_report

from .debugging import DebuggingSteps
from .opening import OnProgress, open_sandbox, quiet, token_counter
from .selection import checkpoint_scorer
from .tasks import TaskSteps


@dataclass(frozen=True)
class Export:
    """Pairs written for another trainer; `focal` says whether their wrong lines survive there."""

    pairs: int
    folder: str
    format: str
    focal: str
    url: str = ""


@dataclass(frozen=True)
class Run(TaskSteps, DebuggingSteps):
    """All steps of one run folder."""

    def run(self) -> None:
        """The main job, every arrow once; what is done already is not done again."""
        self.evaluate(self.config.model)
        self.debug()
        self.pair()
        self.train()
        self.evaluate(str(self.model_folder))
        self.report()

    def pair(self) -> list[FilterRow]:
        """Trajectories and imported pairs → focal preference pairs, in the store and as `pairs/`."""
        settings = self.config.pairing
        count = token_counter(settings.tokenizer) if settings.tokenizer else estimated_tokens
        self.store.replace_pairs(pair(self.store, settings, self.config.seed, count))
        funnel = pair_funnel(self.store.pairs())
        card = self._card(PARQUET, FORMATS["trl"].focal)
        write_dataset(self.pairs_folder, self.store.pairs(kept=True), card)
        return funnel

    def export(self, folder: Path, format_name: str, repository: str | None = None, *, private: bool = True) -> Export:
        """Kept pairs → `folder` in another trainer's format, and to the hub where a repository is named."""
        target = FORMATS.get(format_name)
        if target is None:
            raise ConfigError(f"--format {format_name}: expected one of trajectories, {', '.join(FORMATS)}")
        card = self._card(DATA_FILE, target.focal)
        pairs = write_export(folder, self.store.pairs(kept=True), target, card)
        url = push_to_hub(folder, repository, private=private) if repository else ""
        return Export(pairs, str(folder), target.name, target.focal, url)

    def _card(self, data_file: str, focal: str) -> str:
        settings = self.config.pairing.model_dump() | {"seed": self.config.seed}
        return dataset_card(dataset_facts(self.store), settings, data_file, focal)

    def train(self) -> TrainSummary:
        """Pairs → checkpoint in `model/`."""
        return train_run(self.store.folder, self.config, self.on_progress)

    def evaluate(self, model: str, samples: Path | None = None, sanitized: bool = False) -> Result:
        """Model (or a file of its samples) → Result on the configured benchmark, also written to `results/`."""
        settings, seed = self.config.evaluation, self.config.seed
        with open_sandbox(self.config) as sandbox:
            benchmark = load_benchmark(
                settings.benchmark,
                settings.split,
                settings.tasks,
                seed,
                settings.path,
                lambda: sandbox,
                Window(settings.since, settings.until, settings.difficulty),
            )
            score = partial(
                evaluate,
                benchmark,
                sandbox=sandbox,
                store=self.store,
                settings=settings,
                seed=seed,
                limits=self.config.limits,
                on_progress=partial(self.on_progress, "evaluate"),
            )
            if samples is not None:
                given = read_samples(samples, benchmark.tasks, sanitized, benchmark.broken)
                result = asyncio.run(score(Recorded(given, benchmark.tasks, settings.k)))
            else:
                asked = settings.client and settings.client.model_copy(update={"model": model})
                client = asked or in_this_process(self.config.client, model)
                budget = Budget(self.config.budget, self.store) if settings.client else None
                with self.ledger(client, budget) as ledger:
                    result = asyncio.run(score(Generated(ledger, benchmark, settings, seed)))
        folder = self.store.folder / "results"
        folder.mkdir(exist_ok=True)
        (folder / f"{result.result_id}.json").write_text(result.model_dump_json(indent=1), encoding="utf-8")
        write_samples(result, folder / f"{result.result_id}.samples.jsonl")
        return result

    def report(self) -> Path:
        """Everything above → `report.html`."""
        return write_report(self.store)


def train_run(folder: Path, config: Config, on_progress: OnProgress = quiet) -> TrainSummary:
    """Train on a run folder's Parquet; opens no database, so that it works on every node of a launcher."""

    def show(step: int, steps: int, metrics: Mapping[str, float]) -> None:
        on_progress("train", step, steps, f"loss {metrics['loss']:.3f}" if "loss" in metrics else "")

    settings = {"seed": config.seed} | config.training
    scorer = checkpoint_scorer(folder, config)
    model = resolve_model(config.model)
    return train(folder / "pairs", model, folder / "model", settings, on_progress=show, scorer=scorer)
