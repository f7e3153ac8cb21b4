"""Checkpoint → pass@1 on validation tasks: what `training.selection` chooses by.

The checkpoint is loaded beside the model in training, and decoded greedily. What was asked and run is kept beside the
checkpoints in `validation/`, a store of its own, so that a killed run repeats nothing. A published benchmark's tasks,
but for those that its authors keep for validation, and what the run is evaluated on are refused: a checkpoint chosen by
them would be measured by what chose it.
"""

from pathlib import Path

from iterpref.clients import in_this_process, open_ledger
from iterpref.config import Config, EvaluationConfig, EvaluationSamplingConfig, SelectionConfig
from iterpref.errors import ConfigError
from iterpref.evaluation.answer_sources import GeneratedAnswers
from iterpref.evaluation.benchmarks import Benchmark, TaskChoice, load_benchmark
from iterpref.evaluation.benchmarks.registry import DEFINITIONS, is_published, may_choose, measures
from iterpref.evaluation.evaluate import evaluate
from iterpref.opened_run import open_sandbox
from iterpref.records import Result
from iterpref.run_folder import VALIDATION_STORE
from iterpref.store import Store
from iterpref.waiting import wait_for

ADVICE = "take benchmark: playground or mbpp-full (split: validation), or the path of a JSONL file of tasks of your own"


class CheckpointScorer:
    """Scores checkpoints of the training in `folder`; the tasks are read, and refused where need be, when it is made.

    Raises:
        ConfigError, RecordError: The tasks can't be read, or must not be used.
    """

    def __init__(self, folder: Path, config: Config, selection: SelectionConfig) -> None:
        self._folder = folder / VALIDATION_STORE
        self._tasks = validation_tasks(selection, config)
        validation = EvaluationConfig(
            benchmark=selection.benchmark,
            split=selection.split,
            tasks=selection.tasks,
            sampling=EvaluationSamplingConfig(max_tokens=selection.max_tokens),
        )
        self._config = config.model_copy(update={"evaluation": validation})

    def __call__(self, checkpoint: Path) -> dict[str, float]:
        """`pass@1` with its standard error, and the number of tasks."""
        import torch

        threads = torch.get_num_threads()  # a client of a small model takes one
        try:
            result = self._evaluate(checkpoint)
        finally:
            torch.set_num_threads(threads)
        return {**result.metrics, "tasks": float(len({sample.task_id for sample in result.samples}))}

    def _evaluate(self, checkpoint: Path) -> Result:
        client = in_this_process(self._config.client, str(checkpoint))
        with (
            Store.open(self._folder) as store,
            open_ledger(client, store) as ledger,
            open_sandbox(self._config.sandbox) as sandbox,
        ):
            answers = GeneratedAnswers(ledger, self._tasks, self._config)
            return wait_for(evaluate(self._tasks, answers, self._config, sandbox=sandbox, store=store))


def validation_tasks(selection: SelectionConfig, config: Config) -> Benchmark:
    """The tasks to choose by; ConfigError for a published benchmark's, and for those the run is evaluated on."""
    name, split = selection.benchmark, selection.split
    definition = DEFINITIONS.get(name)
    if definition and not definition.validation_split:
        raise ConfigError(f"training.selection.benchmark: {name} measures the finished model; {ADVICE}")
    if definition and split != definition.validation_split:
        raise ConfigError(
            f"training.selection.split is {split}, but the {name} has {definition.validation_split} for this; models "
            "are trained or measured on its other tasks"
        )
    _check_apart(selection, config.evaluation)
    found = load_benchmark(name, TaskChoice(split, selection.tasks, seed=config.seed, form=config.importing))
    _check_published(name, found, config.evaluation)
    return found


def _check_published(name: str, found: Benchmark, evaluation: EvaluationConfig) -> None:
    """Refuse tasks of published benchmarks, but for those that are for validation and not evaluated on."""
    for task_id in (task.task_id for task in found.tasks if is_published(task.task_id)):
        if not may_choose(task_id):
            raise ConfigError(f"training.selection.benchmark: {name} holds {task_id}, a benchmark's task; {ADVICE}")
        if measures(evaluation.benchmark, evaluation.split, task_id):
            raise ConfigError(
                f"training.selection.benchmark: {name} holds {task_id}, which the run is evaluated on "
                f"({evaluation.benchmark}); set evaluation.split, as test, to a split without it"
            )


def _check_apart(selection: SelectionConfig, evaluation: EvaluationConfig) -> None:
    """Refuse the file that the run is evaluated on, unless it is another split of it."""
    files = Path(selection.benchmark), Path(evaluation.benchmark)
    same = all(file.exists() for file in files) and files[0].samefile(files[1])
    if same and (selection.split == evaluation.split or None in (selection.split, evaluation.split)):
        raise ConfigError(
            f"training.selection.benchmark: the run is evaluated on the same tasks ({evaluation.benchmark}, split "
            f"{evaluation.split}); keep a split apart for selection"
        )
