"""READ FIRST: the whole method, arrow by arrow, as functions over one opened run.

    tasks → programs → sandboxed tests → debugging → focal pairs → training → evaluation → report

Each step reads and writes records in one run folder, so that each can be run alone, repeated, or continued after a
kill. The verbs of the command line are these functions; what takes more than a few lines lives in the step's stage.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from iterpref.analysis.dataset import card_facts
from iterpref.analysis.funnel import PairTally
from iterpref.config import Config
from iterpref.debugging.check_tasks import TaskCheck, check_run
from iterpref.debugging.debug import DebugProgress
from iterpref.debugging.debug_run import check_tasks
from iterpref.debugging.shards import debug_run
from iterpref.diagnosis import DiagnosisProgress, diagnose_run
from iterpref.evaluation import CheckpointScorer, evaluate_model, evaluate_samples, stronger_tasks
from iterpref.exporting import DATA_FILE, Export, ExportFormat, dataset_card, export_pairs, format_named
from iterpref.importing import import_source as import_into
from iterpref.importing import read_instructions
from iterpref.opened_run import OnProgress, OpenedRun, quiet, stage
from iterpref.pairing import PARQUET, JudgeProgress, judge_run, pair_run, write_dataset
from iterpref.records import Result
from iterpref.run_folder import DEFAULT_TRAINING, RunFolder
from iterpref.synthesis.judge_tests import TestJudgeProgress, score_run
from iterpref.synthesis.pair_features import count_features_run
from iterpref.synthesis.revise import RevisionProgress, revise_run
from iterpref.synthesis.synthesize import SynthesisProgress, synthesize_run
from iterpref.synthesis.validate_run import validate_run
from iterpref.training import TrainSummary, check_keys, known_keys, train_run
from iterpref.viewer.report import write_report

__all__ = ["check", "count_features", "debug", "diagnose", "evaluate", "export", "import_source", "judge", "pair",
           "report", "revise", "run_all", "score_tests", "synthesize", "train", "validate"]  # fmt: skip


def run_all(run: OpenedRun) -> None:
    """The main job, every arrow once; what is done is not done again. Tasks and `training:` are checked first."""
    check_tasks(run)
    check_keys(run.config.training, known_keys())
    evaluate(run, run.config.model)
    debug(run)
    pair(run)
    train(run.folder, run.config, run.on_progress)
    evaluate(run, str(run.folder.model))
    report(run)


@stage("import")
def import_source(run: OpenedRun, source: str, columns: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Tasks, recorded debugging runs or pairs that were made elsewhere → the run's records."""
    return import_into(run, source, columns or {})


@stage("synthesize")
def synthesize(run: OpenedRun) -> SynthesisProgress:
    """Features, code or instructions → tasks, drafted by the configured model. Ready ones come by `import_source`."""
    source = run.config.synthesis.instructions
    return synthesize_run(run, read_instructions(source, run.config.importing) if source else ())


def check(run: OpenedRun) -> TaskCheck:
    """Tasks → those that no model should be asked about, by their tests and their references."""
    return check_run(run)


@stage("debug")
def debug(run: OpenedRun) -> DebugProgress:
    """Tasks → trajectories: programs, what their tests said, and repairs until they pass."""
    return debug_run(run)


@stage("validate")
def validate(run: OpenedRun) -> dict[str, Any]:
    """Tasks → how far their tests can be trusted, by the programs that pass them; and by those that fail."""
    return validate_run(run, stronger_tasks(run))


@stage("judge tests")
def score_tests(run: OpenedRun) -> TestJudgeProgress:
    """Tests → a model's scores for them."""
    return score_run(run)


# Kept pairs → the features of their programs by category, named by a model.
count_features = stage("judge features")(count_features_run)


@stage("revise")
def revise(run: OpenedRun) -> RevisionProgress:
    """Unsolved tasks whose tests contradict them → new tasks with revised tests."""
    return revise_run(run)


@stage("pair")
def pair(run: OpenedRun) -> PairTally:
    """Trajectories and imported pairs → focal preference pairs, in the store and as `pairs/`."""
    pair_run(run)
    tally = PairTally()
    kept = tally.kept_of(run.store.pairs())
    write_dataset(run.folder.pairs, kept, lambda: _card(run, tally, PARQUET, format_named("trl")))
    return tally


@stage("judge")
def judge(run: OpenedRun) -> JudgeProgress:
    """Kept pairs → a model's word on whether their difference is logical."""
    return judge_run(run)


@stage("diagnose")
def diagnose(run: OpenedRun) -> DiagnosisProgress:
    """Pairs → how often a model's continuations pass before and after their changed lines."""
    return diagnose_run(run)


def export(
    run: OpenedRun, folder: Path, format_: str, hub: str | None = None, *, private: bool = True, overwrite: bool = False
) -> Export:
    """Kept pairs → `folder` in another trainer's format, and to the hub where a data set of it is named."""
    target = format_named(format_)
    card = _card(run, PairTally.of(run.store.pairs()), DATA_FILE, target)
    return export_pairs(run.store, folder, target, card, hub, private=private, overwrite=overwrite)


def train(
    folder: RunFolder, config: Config, show: OnProgress = quiet, name: str = DEFAULT_TRAINING, restart: bool = False
) -> TrainSummary:
    """Pairs → a model in `model/`, or another `name` in `models/`. Opens no database: any node of a launcher can."""
    return train_run(folder, config, CheckpointScorer, show, name, restart)


@stage("evaluate")
def evaluate(run: OpenedRun, model: str, samples: Path | None = None, sanitized: bool = False) -> Result:
    """Model, or a file of its samples → Result on the configured benchmark, also written to `results/`."""
    return evaluate_model(run, model) if samples is None else evaluate_samples(run, samples, sanitized)


def report(run: OpenedRun) -> Path:
    """Everything above → `report.html`."""
    return write_report(run.store)


def _card(run: OpenedRun, tally: PairTally, data_file: str, target: ExportFormat) -> str:
    settings = run.config.pairing.model_dump() | {"seed": run.config.seed}
    return dataset_card(card_facts(run.store, tally), settings, data_file, target.focal)
