"""A seed's own data: training tasks, what the base made of them, and the pairs of each arm; the same for all arms.

    work/seeds/DOMAIN-BASE-SEED-KEY/    a run folder, which any verb can be used on
        pairs/KEY/train.parquet         a set of pairs, made when an arm first needs it
        references/                     log-probabilities of the base, shared by the arms that compare with it

Made by the package's own steps, so that a killed one goes on. Not here: what sets of pairs there are (pairs.py).
"""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from iterpref import pipeline
from iterpref.analysis.funnel import pass_rate_by_iteration
from iterpref.config import Config, PairingConfig
from iterpref.config.load import dump_config, load_config
from iterpref.demo import CONFIG
from iterpref.files import write_text
from iterpref.opened_run import OpenedRun
from iterpref.pairing import PARQUET, write_dataset
from iterpref.records import Task, fingerprint
from iterpref.run_folder import RunFolder
from iterpref.store import Store

from .domains import DOMAINS
from .grid import Arm
from .pairs import PAIRS, Origin, drawn
from .records import Record

VERSION = 1  # to be raised where the same settings give other pairs or scores
PATIENCE_S = 20.0  # for the process of a killed grid to let go of a folder


@dataclass(frozen=True)
class SeedPlan:
    """What decides a seed's data. `weights` is the identity of the base in `folder`."""

    domain: str
    base: int
    folder: Path
    weights: str
    seed: int
    tasks: int
    debugging: dict[str, Any]

    @property
    def what(self) -> Record:
        """All that enters keys: of settings what differs from the package's defaults."""
        debugging = self.config.debugging.model_dump(mode="json", exclude_defaults=True)
        return {"domain": self.domain, "weights": self.weights, "seed": self.seed, "tasks": self.tasks,
                "debugging": debugging}  # fmt: skip

    @property
    def name(self) -> str:
        return f"{self.domain}-{self.base} seed {self.seed}"

    @cached_property
    def config(self) -> Config:
        model = str(self.folder)
        sandbox = {**CONFIG["sandbox"], "workers": 1}  # cells run beside each other
        values = {"seed": self.seed, "model": model, "client": {"model": model}, "sandbox": sandbox,
                  "debugging": self.debugging}  # fmt: skip
        return load_config(base=values)


@dataclass(frozen=True)
class SeedData:
    """The folder of a seed's data in a work folder."""

    plan: SeedPlan
    work: Path

    @property
    def folder(self) -> Path:
        plan = self.plan
        return self.work / "seeds" / f"{plan.domain}-{plan.base}-{plan.seed}-{fingerprint(plan.what)[:8]}"

    @property
    def references(self) -> Path:
        return self.folder / "references"

    def make(self, origin: Origin) -> Record:
        """Tasks and trajectories of one origin → what became of them; only read where that is done."""
        with self._opened() as run:
            made = run.store.note(f"lab:{origin}")
            if made is None:
                if run.store.count_tasks() < self.plan.tasks:
                    run.store.put_tasks(self.tasks())
                made = _made(run, origin)
                run.store.put_note(f"lab:{origin}", made)
            return dict(made)

    def trajectories_hash(self, origin: Origin) -> str:
        """What tells these trajectories from others of the same plan, made elsewhere with other rounding."""
        with Store.open(self.folder, write=False) as store:
            return str(store.note(f"lab:{origin}")["hash"])

    def tasks(self) -> list[Task]:
        """The training tasks."""
        return DOMAINS[self.plan.domain].tasks("train", self.plan.tasks, self.plan.seed)

    def pairs(self, arm: Arm) -> Path:
        """The folder with an arm's pairs as Parquet, which several processes may ask for at once."""
        settings = pairing_of(arm)
        what = [VERSION, arm.pairs, settings.model_dump(mode="json"), arm.as_many_as, arm.share]
        target = self.folder / "pairs" / fingerprint(what)[:12]
        if not (target / PARQUET).is_file():
            with Store.open(self.folder, write=False) as store:
                pairs = list(PAIRS[arm.pairs].make(store, settings, self.plan.seed))
                if arm.as_many_as is not None:
                    other = PAIRS[arm.as_many_as].make(store, settings, self.plan.seed)
                    pairs = drawn(pairs, sum(1 for _ in other))
                if arm.share < 1:
                    pairs = drawn(pairs, round(arm.share * len(pairs)))
            staging = target.with_name(f".{target.name}.{os.getpid()}")
            write_dataset(staging, pairs)
            try:
                os.replace(staging, target)
            except OSError:  # another process was faster
                shutil.rmtree(staging)
        return target

    @contextmanager
    def _opened(self) -> Iterator[OpenedRun]:
        with Store.open(self.folder, wait_s=PATIENCE_S) as store:
            if not (kept := RunFolder(self.folder).config).is_file():
                write_text(kept, dump_config(self.plan.config))
            yield OpenedRun(store, self.plan.config)


def origins_of(arm: Arm) -> set[Origin]:
    """Whose trajectories an arm's pairs are made of."""
    return {PAIRS[name].origin for name in (arm.pairs, arm.as_many_as) if name is not None}


def pairing_of(arm: Arm) -> PairingConfig:
    return PairingConfig.model_validate({**CONFIG["pairing"], **arm.pairing})


def _made(run: OpenedRun, origin: Origin) -> Record:
    began = time.monotonic()
    settings = run.config.debugging.model_copy(update={"mode": origin, "draws": "all"})
    pipeline.debug(OpenedRun(run.store, run.config.model_copy(update={"debugging": settings})))
    calls, prompt, completion, _ = run.store.calls_of(origin)
    trajectories = list(run.store.trajectories(origin))
    attempts = sorted([t.task_id, [[a.program, a.execution.verdict] for a in t.attempts]] for t in trajectories)
    return {
        "passed": pass_rate_by_iteration(trajectories, settings.max_iterations),
        "calls": calls,
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "hash": fingerprint(attempts),
        "seconds": round(time.monotonic() - began, 1),
    }
