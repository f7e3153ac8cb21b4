"""A seed's own data: training tasks, what the base made of them, and the pairs of each arm; the same for all arms.

    work/seeds/DOMAIN-BASE-SEED-KEY/    a run folder, which any verb can be used on
        taught-NAME-KEY/                another one: the same tasks, repaired by a teacher
        pairs/KEY/train.parquet         a set of pairs, made when an arm first needs it
        references/                     log-probabilities of the base, shared by the arms that compare with it

Made by the package's own steps, so that a killed one goes on. Not here: what sets of pairs there are (pairs.py), what
is done for each part of the data (making.py).
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from iterpref.config import Config, PairingConfig
from iterpref.config.load import dump_config, load_config
from iterpref.demo import CONFIG
from iterpref.files import write_text
from iterpref.opened_run import OpenedRun, open_sandbox
from iterpref.pairing import PARQUET, write_dataset
from iterpref.pairing.failing_path import FailingPath
from iterpref.records import PreferencePair, Task, fingerprint
from iterpref.run_folder import RunFolder
from iterpref.store import Store

from .domains import DOMAINS
from .grid import Arm
from .making import SPENT, TAUGHT, make
from .pairs import PAIRS, Source, drawn
from .records import Record
from .teachers import Teacher
from .trainers.arm import Spent

VERSION = 1  # to be raised where the same settings give other pairs or scores
PATIENCE_S = 20.0  # for the process of a killed grid to let go of a folder


@dataclass(frozen=True)
class SeedPlan:
    """What decides a seed's data. `weights` is the identity of the base in `folder`; `teachers` by name."""

    domain: str
    base: int
    folder: Path
    weights: str
    seed: int
    tasks: int
    debugging: dict[str, Any]
    teachers: dict[str, Teacher] = field(default_factory=dict)

    @property
    def what(self) -> Record:
        """All that enters keys: of settings what differs from the package's defaults."""
        debugging = self.config.debugging.model_dump(mode="json", exclude_defaults=True)
        version = {"lab": VERSION} if VERSION > 1 else {}  # that of the first isn't in the keys of its seeds
        return {"domain": self.domain, "weights": self.weights, "seed": self.seed, "tasks": self.tasks,
                "debugging": debugging, **version}  # fmt: skip

    def what_of(self, part: str) -> Record:
        """The same for one part of the data, with what that part depends on besides."""
        teacher = self.teacher(part)
        return {**self.what, "origin": part} | ({"teacher": teacher.identity} if teacher else {})

    def teacher(self, part: str) -> Teacher | None:
        """Who repairs in a part of the data; None: the base itself."""
        return self.teachers[part.removeprefix(TAUGHT)] if part.startswith(TAUGHT) else None

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

    def store_of(self, part: str) -> Path:
        """The run folder with a part of the data."""
        teacher = self.plan.teacher(part)
        return self.folder / f"taught-{teacher.name}-{teacher.identity[:8]}" if teacher else self.folder

    def make(self, part: str) -> Record:
        """A part of the data (making.py) → what became of it; only read where that is done."""
        with self._opened(part) as run:
            made = run.store.note(f"lab:{part}")
            if made is None:
                if run.store.count_tasks() < self.plan.tasks:
                    run.store.put_tasks(self.tasks())
                made = make(run, part)
                run.store.put_note(f"lab:{part}", made)
            return dict(made)

    def read(self, part: str) -> Store:
        """The store with a part of the data that is there, for reading."""
        return Store.open(self.store_of(part), write=False)

    def made(self, part: str) -> Record:
        """What became of a part of the data that is there."""
        with self.read(part) as store:
            return dict(store.note(f"lab:{part}"))

    def spent(self, arm: Arm) -> Spent:
        """What was generated for an arm's pairs."""
        own = [part_of(arm, arm.pairs), *(["diagnosed"] if is_diagnosed(arm) else [])]
        made = [self.made(part) for part in own]
        return sum((Spent(**{name: one[key] for name, key in SPENT.items()}) for one in made), Spent())

    def tasks(self) -> list[Task]:
        """The training tasks."""
        return DOMAINS[self.plan.domain].tasks("train", self.plan.tasks, self.plan.seed)

    def pairs(self, arm: Arm) -> Path:
        """The folder with an arm's pairs as Parquet, which several processes may ask for at once."""
        what = [VERSION, arm.pairs, pairing_of(arm).model_dump(mode="json"), arm.as_many_as, arm.share]
        if arm.teacher is not None:
            what.append(self.plan.teachers[arm.teacher].identity)
        target = self.folder / "pairs" / fingerprint(what)[:12]
        if not (target / PARQUET).is_file():
            staging = target.with_name(f".{target.name}.{os.getpid()}")
            write_dataset(staging, self.pair_records(arm))
            try:
                os.replace(staging, target)
            except OSError:  # another process was faster
                shutil.rmtree(staging)
        return target

    def pair_records(self, arm: Arm) -> list[PreferencePair]:
        """An arm's pairs, made anew."""
        pairs = self._pairs(arm, arm.pairs)
        if arm.as_many_as is not None:
            pairs = drawn(pairs, len(self._pairs(arm, arm.as_many_as)))
        return drawn(pairs, round(arm.share * len(pairs))) if arm.share < 1 else pairs

    def _pairs(self, arm: Arm, name: str) -> list[PreferencePair]:
        settings, path = pairing_of(arm), None
        with ExitStack() as opened:
            store = opened.enter_context(self.read(part_of(arm, name)))
            if settings.failing_path:
                sandbox = opened.enter_context(closing(open_sandbox(self.plan.config.sandbox)))
                path = FailingPath(sandbox, self.plan.seed).lines
            return list(PAIRS[name].make(Source(store, settings, self.plan.seed, path)))

    @contextmanager
    def _opened(self, part: str) -> Iterator[OpenedRun]:
        plan, folder, config = self.plan, self.store_of(part), self.plan.config
        if teacher := plan.teacher(part):
            model = teacher.model(plan.domain, plan.folder, self.work)
            config = load_config(base=config.model_dump(mode="json") | {"repair_client": {"model": str(model)}})
        with Store.open(folder, wait_s=PATIENCE_S) as store:
            if not (kept := RunFolder(folder).config).is_file():
                write_text(kept, dump_config(config))
            yield OpenedRun(store, config)


def part_of(arm: Arm, name: str) -> str:
    """Which part of a seed's data a set of pairs is made of, for an arm."""
    origin = PAIRS[name].origin
    return f"{TAUGHT}{arm.teacher}" if arm.teacher and origin == "debugging" else origin


def parts_of(*arms: Arm) -> list[str]:
    """The parts of a seed's data that arms need, in the order in which they can be made."""
    parts = {part_of(arm, name) for arm in arms for name in (arm.pairs, arm.as_many_as) if name is not None}
    return sorted(parts) + (["diagnosed"] if any(map(is_diagnosed, arms)) else [])


def is_diagnosed(arm: Arm) -> bool:
    return pairing_of(arm).diagnosed is not None


def pairing_of(arm: Arm) -> PairingConfig:
    return PairingConfig.model_validate({**CONFIG["pairing"], **arm.pairing})
