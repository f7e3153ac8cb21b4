"""READ FIRST: the whole method, arrow by arrow, as functions over one opened run.

    tasks → programs → sandboxed tests → debugging → focal pairs → training → evaluation → report

Each step reads and writes records in one run folder, so that each can be run alone, repeated, or continued after a
kill. The verbs of the command line are these functions; what takes more than a few lines lives in the step's stage.
"""

import asyncio
import os
import re
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from iterpref.analysis.dataset import card_facts
from iterpref.analysis.funnel import PairTally
from iterpref.config import Config
from iterpref.config.stages import settings_of
from iterpref.debugging.check_tasks import TaskCheck, check_run
from iterpref.debugging.debug import DebugProgress
from iterpref.debugging.debug_run import check_tasks, debug_tasks
from iterpref.debugging.shards import debug_in_shards
from iterpref.errors import ConfigError, StoreError
from iterpref.evaluation import CheckpointScorer, evaluate_model, evaluate_samples, stronger_tasks
from iterpref.exporting import DATA_FILE, Export, ExportFormat, dataset_card, format_named, push_to_hub, write_export
from iterpref.files import write_json
from iterpref.importing import import_source as import_into
from iterpref.importing import read_instructions
from iterpref.opened_run import OnProgress, OpenedRun, quiet
from iterpref.pairing import PARQUET, JudgeProgress, estimated_tokens, judge_pairs, make_pairs, write_dataset
from iterpref.playground.coder import resolve_model
from iterpref.records import Result
from iterpref.run_folder import DEFAULT_TRAINING, TRAINING_SETTINGS, RunFolder
from iterpref.synthesis.judge_tests import TestJudgeProgress, judge_tests
from iterpref.synthesis.revise import RevisionProgress, revise_tests
from iterpref.synthesis.synthesize import SynthesisProgress, Synthesizer
from iterpref.synthesis.validate_run import validate_run
from iterpref.training import TrainSummary, check_keys, known_keys, read_selection
from iterpref.training import train as train_on_pairs
from iterpref.viewer.report import write_report

__all__ = ["check", "debug", "evaluate", "export", "import_source", "judge", "pair", "report", "revise", "run_all",
           "score_tests", "synthesize", "train", "validate"]  # fmt: skip


P = ParamSpec("P")
T = TypeVar("T")
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


def run_all(run: OpenedRun) -> None:
    """The main job, every arrow once; what is done already is not done again.

    Raises:
        StoreError, ConfigError: There are no tasks, or `training:` can't be used. Nothing was evaluated then.
    """
    check_tasks(run)
    check_keys(run.config.training, known_keys())
    evaluate(run, run.config.model)
    debug(run)
    pair(run)
    train(run.folder, run.config, run.on_progress)
    evaluate(run, str(run.folder.model))
    report(run)


@stage("import")
def import_source(run: OpenedRun, source: str, columns: Mapping[str, str]) -> dict[str, Any]:
    """Tasks, recorded debugging runs or pairs that were made elsewhere → the run's records."""
    return import_into(run, source, columns)


@stage("synthesize")
def synthesize(run: OpenedRun) -> SynthesisProgress:
    """Features, code or instructions → tasks, drafted by the configured model. Ready ones come by `import_source`."""
    settings = run.config.synthesis
    own = read_instructions(settings.instructions, run.config.importing) if settings.instructions else ()
    with run.ledger(run.config.client) as ledger, run.sandbox() as sandbox:
        made = Synthesizer(ledger, run.executor(sandbox), run.store, settings, run.config.seed, own)
        return asyncio.run(made.run(run.shows("synthesize")))


def check(run: OpenedRun) -> TaskCheck:
    """Tasks → those that no model should be asked about, by their tests and their references."""
    return check_run(run)


@stage("debug")
def debug(run: OpenedRun) -> DebugProgress:
    """Tasks → trajectories: programs, what their tests said, and repairs until they pass."""
    if run.config.parallel.backend != "serial" and run.config.parallel.what == "shards":
        debug_in_shards(run)  # the pass over all tasks that follows finds nothing left to do
    return debug_tasks(run)


@stage("validate")
def validate(run: OpenedRun) -> dict[str, Any]:
    """Tasks → how far their tests can be trusted, by the programs that pass them; and by those that fail."""
    _need(run, run.store.count_tasks(), "tasks to measure", "iterpref import brings some")
    return validate_run(run, stronger_tasks(run))


@stage("judge tests")
def score_tests(run: OpenedRun) -> TestJudgeProgress:
    """Tests → a model's scores for them."""
    with run.ledger(run.config.judge_client or run.config.client) as ledger:
        return asyncio.run(judge_tests(run.store, ledger, again=run.asks_again))


@stage("revise")
def revise(run: OpenedRun) -> RevisionProgress:
    """Unsolved tasks whose tests contradict them → new tasks with revised tests."""
    _need(run, run.store.count("trajectories"), "trajectories", "iterpref debug makes them")
    with run.ledger(run.config.judge_client or run.config.client) as ledger:
        return asyncio.run(revise_tests(run.store, ledger))


@stage("pair")
def pair(run: OpenedRun) -> PairTally:
    """Trajectories and imported pairs → focal preference pairs, in the store and as `pairs/`."""
    sources = run.store.count("trajectories") + run.store.count("imported_pairs")
    _need(run, sources, "trajectories or imported pairs", "iterpref debug or import makes them")
    settings = run.config.pairing
    count = run.token_counter(settings.tokenizer) if settings.tokenizer else estimated_tokens
    run.store.replace_pairs(make_pairs(run.store, settings, run.config.seed, count))
    tally = PairTally()
    kept = tally.kept_of(run.store.pairs())
    write_dataset(run.folder.pairs, kept, lambda: _card(run, tally, PARQUET, format_named("trl")))
    return tally


@stage("judge")
def judge(run: OpenedRun) -> JudgeProgress:
    """Kept pairs → a model's word on whether their difference is logical."""
    pairs = list(run.store.pairs(kept=True))
    _need(run, len(pairs), "kept pairs to judge", "iterpref pair makes them")
    with run.ledger(run.config.judge_client or run.config.client) as ledger:
        return asyncio.run(judge_pairs(pairs, ledger, run.store, run.shows("judge"), again=run.asks_again))


def export(
    run: OpenedRun,
    folder: Path,
    format_name: str,
    repository: str | None = None,
    *,
    private: bool = True,
    overwrite: bool = False,
) -> Export:
    """Kept pairs → `folder` in another trainer's format, and to the hub where a repository is named."""
    target = format_named(format_name)
    card = _card(run, PairTally.of(run.store.pairs()), DATA_FILE, target)
    written = write_export(folder, run.store.pairs(kept=True), target, card, overwrite=overwrite)
    url = push_to_hub(folder, repository, private=private) if repository else ""
    return Export(written, str(folder), target.name, target.focal, url)


def train(
    folder: RunFolder,
    config: Config,
    on_progress: OnProgress = quiet,
    output: str = DEFAULT_TRAINING,
    restart: bool = False,
) -> TrainSummary:
    """Pairs → a model in `model/`, or for another `output` in `models/`; `restart` deletes the training that is there.

    Opens no database, so that it works on every node of a launcher.
    """

    def show(step: int, steps: int, metrics: Mapping[str, float]) -> None:
        on_progress("train", step, steps, f"loss {metrics['loss']:.3f}" if "loss" in metrics else "")

    settings, model = {"seed": config.seed} | config.training, resolve_model(config.model)
    if not re.fullmatch(r"\w[\w.-]*", output):
        raise ConfigError(f"--output {output}: expected a plain name, for a folder in {folder.models}")
    target = folder.training(output)
    scorer = checkpoint_scorer(target, config)
    pairs, resume = folder.pairs, not restart
    summary = train_on_pairs(pairs, model, target, settings, on_progress=show, scorer=scorer, resume=resume)
    if os.environ.get("RANK", "0") == "0":  # a file, not a note: this process may not open the database
        write_json(target / TRAINING_SETTINGS, settings_of(config, "train"), indent=1)
    return summary


@stage("evaluate")
def evaluate(run: OpenedRun, model: str, samples: Path | None = None, sanitized: bool = False) -> Result:
    """Model, or a file of its samples → Result on the configured benchmark, also written to `results/`."""
    return evaluate_model(run, model) if samples is None else evaluate_samples(run, samples, sanitized)


def report(run: OpenedRun) -> Path:
    """Everything above → `report.html`."""
    return write_report(run.store)


def _need(run: OpenedRun, there: int, what: str, how: str) -> None:
    """StoreError where a step has nothing to work on: most likely it came too early."""
    if not there:
        raise StoreError(f"{run.store.folder}: no {what}; {how}")


def _card(run: OpenedRun, tally: PairTally, data_file: str, target: ExportFormat) -> str:
    settings = run.config.pairing.model_dump() | {"seed": run.config.seed}
    return dataset_card(card_facts(run.store, tally), settings, data_file, target.focal)


def checkpoint_scorer(training: Path, config: Config) -> CheckpointScorer | None:
    """What scores the checkpoints of the training in this folder; None if its settings select none."""
    selection = read_selection(config.training.get("selection"))
    return None if selection is None else CheckpointScorer(training, config, selection)
