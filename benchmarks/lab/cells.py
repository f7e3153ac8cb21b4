"""One cell: an arm, trained on a seed's data at one rate and length, and scored on that seed's own tasks.

Its key is a hash of everything that decides it, so that grids share cells, and a cell that was run is never run again.
"""

import asyncio
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from iterpref.analysis.taxonomy import failure_kind
from iterpref.clients import in_this_process, open_ledger
from iterpref.config import Config
from iterpref.demo import CONFIG
from iterpref.evaluation import Benchmark, GeneratedAnswers, evaluate
from iterpref.opened_run import open_sandbox
from iterpref.records import Result, Task, fingerprint
from iterpref.store import Store

from .domains import DOMAINS
from .grid import Arm
from .records import Record, packed
from .seeds import PATIENCE_S, VERSION, SeedData, SeedPlan, pairing_of, parts_of
from .trainer_table import TRAINERS
from .training import Training

Split = Literal["validation", "held_out"]
EVALUATION = CONFIG["evaluation"]["sampling"]


@dataclass(frozen=True)
class Cell:
    """`settings`: the arm's `training` section; `rate` and `length` are 0 for the base.

    `like`: the cell of the same seed whose training's time is this one's budget.
    """

    data: SeedPlan
    split: Split
    tasks: int
    name: str
    arm: Arm
    settings: dict[str, Any]
    rate: float
    length: float
    like: "Cell | None" = None

    more_s = 0.0
    """Seconds of one core that `_more` takes, roughly."""

    @property
    def trains(self) -> bool:
        return self.arm.trainer != "base"

    @cached_property
    def what(self) -> Record:
        """Everything that decides the outcome."""
        data, arm = self.data, self.arm
        scored = {
            "lab": VERSION, "domain": data.domain, "weights": data.weights, "seed": data.seed, "split": self.split,
            "tasks": self.tasks, "evaluation": EVALUATION, "trainer": arm.trainer,
        }  # fmt: skip
        if not self.trains:
            return scored
        pairing = pairing_of(arm).model_dump(mode="json", exclude_defaults=True)
        others: Record = {"teacher": data.teachers[arm.teacher].identity} if arm.teacher else {}
        if self.like is not None:
            others["as_long_as"] = self.like.key
        return scored | others | {
            "data": data.what, "pairs": arm.pairs, "pairing": pairing, "as_many_as": arm.as_many_as,
            "share": arm.share, "training": self.settings, "options": arm.options, "rate": self.rate,
            "length": self.length,
        }  # fmt: skip

    @cached_property
    def key(self) -> str:
        return fingerprint(self.what)

    @property
    def says(self) -> str:
        setting = f" {self.rate:g} x {self.length:g}" if self.trains else ""
        return f"{self.data.name} {self.name}{setting}"

    def run(self, work: Path) -> Record:
        """Train and score; what it needs of the seed's data is there. One that was killed begins anew."""
        folder = work / "cells" / self.key
        shutil.rmtree(folder, ignore_errors=True)
        began = time.monotonic()
        training = self._training(SeedData(self.data, work), folder)
        trained = TRAINERS[self.arm.trainer].train(training)
        after = time.monotonic()
        result = self._score(trained.model, folder)
        more = self._more(trained.model, result, training)
        record = self.heading | self._spent(training.data) | trained.facts | more | {
            "outcomes": packed(failure_kind(s.execution, s.completion) for s in result.samples),
            "passed": result.metrics["pass@1"],
            "tasks_hash": result.dataset_hash,
            "seconds": [round(after - began, 1), round(time.monotonic() - after, 1)],
            "made_with": {name: version(name) for name in ("torch", "transformers", "trl")},
        }  # fmt: skip
        if self.trains:
            record["trajectories"] = {part: training.data.made(part)["hash"] for part in parts_of(self.arm)}
        shutil.rmtree(folder, ignore_errors=True)
        return record

    def _training(self, data: SeedData, folder: Path) -> Training:
        def score(model: Path) -> float:
            return float(self._score(model, folder).metrics["pass@1"])

        return Training(
            self.arm, self.settings, self.rate, self.length, self.data.folder, data, folder,
            score=score if self.split == "held_out" else None,  # where rates are chosen nobody reads of the way
            like=self.like._training(data, folder / "like") if self.like else None,
        )  # fmt: skip

    def _more(self, model: Path, scored: Result, training: Training) -> Record:
        """What else the record tells of the model."""
        return {}

    def _score(self, model: Path, folder: Path) -> Result:
        tasks = tasks_of(self.data.domain, self.split, self.tasks, self.data.seed)
        return score(model, f"{self.data.domain} {self.split}", tasks, self.data.config, folder)

    def _spent(self, data: SeedData) -> Record:
        """What was generated for the arm's pairs; a trainer that generates tells what it did instead."""
        return {"spent": data.spent(self.arm).model_dump()} if self.trains else {}

    @property
    def heading(self) -> Record:
        """With what a record of this cell begins, for people who read it."""
        return {"key": self.key, "arm": self.name, "base": self.data.base, "what": self.what}


@lru_cache(maxsize=4)  # a process scores many arms on one seed's tasks
def tasks_of(domain: str, split: Split, count: int, seed: int) -> list[Task]:
    return DOMAINS[domain].tasks(split, count, seed)


def score(
    model: Path, name: str, tasks: list[Task], config: Config, folder: Path, asked: Mapping[str, Any] | None = None
) -> Result:
    """Answers to these tasks, run in a sandbox; a model that was scored in this folder isn't asked again.

    Args:
        asked: Keys of `evaluation`, where not one greedy answer to each is wanted.
    """
    values = {"sampling": EVALUATION, **(asked or {})}
    sampling = config.evaluation.sampling.model_copy(update=values["sampling"])
    evaluation = config.evaluation.model_copy(update={**values, "sampling": sampling})
    config = config.model_copy(update={"evaluation": evaluation})
    benchmark = Benchmark(name, tasks)
    with (
        Store.open(folder / "answers", wait_s=PATIENCE_S) as store,
        open_ledger(in_this_process(config.client, str(model)), store) as ledger,
        open_sandbox(config.sandbox) as sandbox,
    ):
        answers = GeneratedAnswers(ledger, benchmark, config)
        return asyncio.run(evaluate(benchmark, answers, config, sandbox=sandbox, store=store))
