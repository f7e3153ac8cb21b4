"""Learning from independent draws, right and wrong: PLUM's KTO, and Code-Optimise's pairs.

PLUM (arXiv:2406.06887): on-policy samples, judged by tests; KTO (arXiv:2402.01306) or DPO learns from them. Its tests
are written by a model; here a task's own are used. Our choice: only tasks with both right and wrong programs enter,
each distinct program once, and both kinds weigh the same in sum, which KTO's authors advise (their equation 8).

Code-Optimise (arXiv:2406.12502): its `pvf` pairs, passing × failing, learned with DPO. **Not covered**: `qvs`, quick
over slow among the passing ones, and so `all`. The playground's programs run for microseconds, in a process that takes
milliseconds to make, so that their order in time is noise. Its dynamic selection of solutions isn't covered either.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from iterpref import pipeline
from iterpref.errors import ConfigError, TrainingError
from iterpref.programs import fenced
from iterpref.records import Task, as_messages
from iterpref.store import Store

from .arm import ArmSummary, Asked, Clock, once
from .runs import RunSettings, draw, opened, shape, spent

KTO_KEYS = ("learning_rate", "num_train_epochs", "per_device_train_batch_size", "beta", "max_length")
PAIRED_METHODS = ("dpo", "rpo", "target_dpo", "target_rpo")


@dataclass(frozen=True)
class PlumSettings:
    """`programs`: how many are drawn, over all tasks. The others are KTO's, under TRL's names."""

    programs: int
    learning_rate: float = 3e-4
    num_train_epochs: float = 2
    per_device_train_batch_size: int = 16
    beta: float = 0.1
    max_length: int = 512
    run: RunSettings = field(default_factory=RunSettings)

    def __post_init__(self) -> None:
        if self.per_device_train_batch_size < 2:
            raise ConfigError("plum: per_device_train_batch_size=1; KTO compares within a batch, expected 2 or more")


@dataclass(frozen=True)
class CodeOptimiseSettings:
    """`programs`: how many are drawn, over all tasks. `run.training.method` says the loss, `run.pairing.negatives`
    whether a passing program meets each failing one or one of them."""

    programs: int
    run: RunSettings = field(default_factory=RunSettings)

    def __post_init__(self) -> None:
        if (method := self.run.training.get("method")) not in PAIRED_METHODS:
            raise ConfigError(f"code_optimise: method {method} learns no pairs; expected {', '.join(PAIRED_METHODS)}")


def train_plum(model: Path, tasks: Sequence[Task], settings: PlumSettings, seed: int, output: Path) -> ArmSummary:
    """Draws of `model` for the tasks → `model` after KTO on them, in `output/model`.

    Raises:
        TrainingError: No task has both a passing and a failing draw.
    """

    def work(clock: Clock) -> ArmSummary:
        made = draw(output / "run", settings.run, model, seed, tasks, settings.programs)
        with Store.open(output / "run", write=False) as store:
            rows = list(labelled_rows(store))
        if not rows:
            raise TrainingError(_one_kind("plum", made.programs))
        random.Random(seed).shuffle(rows)  # TRL takes KTO's rows in order, and compares neighbours
        steps = _train_kto(model, rows, settings, seed, output)
        facts = {"right": sum(row["label"] for row in rows)}
        return ArmSummary(trainer="plum", model=str(output / "model"), spent=made, rows=len(rows), steps=steps,
                          facts=facts)  # fmt: skip

    return once(Asked("plum", model, tasks, settings, seed), output, work)


def train_code_optimise(
    model: Path, tasks: Sequence[Task], settings: CodeOptimiseSettings, seed: int, output: Path
) -> ArmSummary:
    """Draws of `model` for the tasks → `model` trained on passing × failing ones, in `output/run/model`.

    Raises:
        TrainingError: No pair is left after the filters.
    """

    def work(clock: Clock) -> ArmSummary:
        draw(output / "run", settings.run, model, seed, tasks, settings.programs)
        config = settings.run.config(model, seed, pairing={"source": "sampling"})
        with opened(output / "run", config) as run:
            pipeline.pair(run)
            made, kept, folder = spent(run.store, "sampling"), run.store.count_kept_pairs(), run.folder
        if not kept:
            raise TrainingError(_one_kind("code_optimise", made.programs))
        trained = pipeline.train(folder, config)
        return ArmSummary(trainer="code_optimise", model=str(folder.model), spent=made, rows=trained.trained_pairs,
                          steps=trained.steps, facts={"pairs": kept})  # fmt: skip

    return once(Asked("code_optimise", model, tasks, settings, seed), output, work)


def labelled_rows(store: Store) -> Iterator[dict[str, Any]]:
    """Each distinct program of the tasks with both kinds, in TRL's unpaired preference format."""
    for trajectory in store.trajectories("sampling"):
        attempts = {shape(a.program): a for a in reversed(trajectory.attempts) if a.program}
        if len({attempt.execution.passed for attempt in attempts.values()}) < 2:
            continue
        prompt = [message.model_dump() for message in as_messages(store.task(trajectory.task_id).prompt)]
        for attempt in sorted(attempts.values(), key=lambda attempt: attempt.iteration):
            completion = [{"role": "assistant", "content": fenced(attempt.program)}]
            yield {"prompt": prompt, "completion": completion, "label": attempt.execution.passed}


def _one_kind(trainer: str, programs: int) -> str:
    return (
        f"{trainer}: no task has usable passing and failing programs among {programs}; draw more programs a task "
        "(programs), or take other tasks"
    )


def _train_kto(model: Path, rows: list[dict[str, Any]], settings: PlumSettings, seed: int, output: Path) -> int:
    from datasets import Dataset
    from trl import KTOConfig, KTOTrainer

    from .trl_training import load, plain_arguments, quiet, train_and_save

    right = sum(row["label"] for row in rows)
    wrong = len(rows) - right
    own = {name: getattr(settings, name) for name in KTO_KEYS}
    weights = {"desirable_weight": max(1.0, wrong / right), "undesirable_weight": max(1.0, right / wrong)}
    schedule = {"lr_scheduler_type": "cosine", "warmup_steps": 5}
    with quiet(bars=False):
        network, tokenizer = load(model)
        trainer = KTOTrainer(
            network,
            args=KTOConfig(**plain_arguments(output, seed), **own, **weights, **schedule),
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
        )
        return train_and_save(trainer, output)
