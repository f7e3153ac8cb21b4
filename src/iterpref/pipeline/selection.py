"""Checkpoint → pass@1 on validation tasks: what `training.selection` chooses by.

In: a run's configuration. Out: a function of a checkpoint's folder, for `training.train`. It loads the checkpoint
beside the model in training, decodes greedily, and runs the programs in the sandbox. What it asked and ran is kept in
`model/validation/`, a store of its own, so that a killed run repeats nothing.
A published benchmark, or what the run is evaluated on, is refused: a checkpoint chosen by it would be measured by what
chose it.
"""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from iterpref.clients import in_this_process, open_ledger
from iterpref.config import Config, EvaluationConfig, EvaluationSamplingConfig
from iterpref.errors import ConfigError
from iterpref.evaluation.answers import Generated
from iterpref.evaluation.benchmarks import NAMES, Benchmark, load_benchmark
from iterpref.evaluation.evaluate import evaluate
from iterpref.sandbox import Sandbox
from iterpref.store import Store

if TYPE_CHECKING:
    from iterpref.config import SelectionConfig

# How published benchmarks begin their tasks' names, in lower case.
PUBLISHED = ("humaneval", "mbpp", "bigcodebench", "livecodebench", "apps", "codecontests")
ADVICE = "take benchmark: playground (split: validation), or the path of a JSONL file of tasks of your own"


def checkpoint_scorer(folder: Path, config: Config) -> "CheckpointScorer | None":
    """What scores the checkpoints of a run's training; None if its configuration selects none."""
    if config.training.get("selection") is None:
        return None
    from iterpref.training.checkpoint_choice import read_selection

    selection = read_selection(config.training["selection"])
    return None if selection is None else CheckpointScorer(folder, config, selection)


class CheckpointScorer:
    """Scores checkpoint folders; the tasks are read, and refused where need be, when it is made.

    Args:
        folder: Of the run.

    Raises:
        ConfigError, RecordError: The tasks can't be read, or must not be used.
    """

    def __init__(self, folder: Path, config: Config, selection: "SelectionConfig") -> None:
        self._folder = folder / "model" / "validation"
        self._config = config
        self._tasks = validation_tasks(selection, config)
        self._settings = EvaluationConfig(
            benchmark=selection.benchmark,
            split=selection.split,
            tasks=selection.tasks,
            sampling=EvaluationSamplingConfig(max_tokens=selection.max_tokens),
        )

    def __call__(self, checkpoint: Path) -> dict[str, float]:
        """`pass@1` with its standard error, and the number of tasks."""
        import torch

        threads = torch.get_num_threads()  # a client of a small model takes one
        sandbox = self._config.sandbox
        client = in_this_process(self._config.client, str(checkpoint))
        try:
            with (
                Store.open(self._folder) as store,
                open_ledger(client, store) as ledger,
                Sandbox(sandbox.workers, sandbox.preload, sandbox.isolation, sandbox.min_isolation) as opened,
            ):
                answers = Generated(ledger, self._tasks, self._settings, self._config.seed)
                result = asyncio.run(
                    evaluate(
                        self._tasks, answers, opened, store, self._settings, self._config.seed, self._config.limits
                    )
                )
        finally:
            torch.set_num_threads(threads)
        return {**result.metrics, "tasks": float(len({sample.task_id for sample in result.samples}))}


def validation_tasks(selection: "SelectionConfig", config: Config) -> Benchmark:
    """The tasks to choose by.

    Raises:
        ConfigError: They are a published benchmark's, or those the run is evaluated on.
    """
    name, split = selection.benchmark, selection.split
    if name == "playground" and split != "validation":
        raise ConfigError(
            f"training.selection.split is {split}, but the playground has validation for this; models are trained on "
            "train and measured on held_out"
        )
    if name != "playground" and name in NAMES:
        raise ConfigError(f"training.selection.benchmark: {name} measures the finished model; {ADVICE}")
    evaluation = config.evaluation
    same_file = (
        Path(name).exists() and Path(evaluation.benchmark).exists() and Path(name).samefile(evaluation.benchmark)
    )
    if same_file and (split == evaluation.split or None in (split, evaluation.split)):
        raise ConfigError(
            f"training.selection.benchmark: the run is evaluated on the same tasks ({evaluation.benchmark}, split "
            f"{evaluation.split}); keep a split apart for selection"
        )
    tasks = load_benchmark(name, split, selection.tasks, config.seed)
    published = [task.task_id for task in tasks.tasks if task.task_id.lower().startswith(PUBLISHED)]
    if published:
        raise ConfigError(f"training.selection.benchmark: {name} holds {published[0]}, a benchmark's task; {ADVICE}")
    return tasks
