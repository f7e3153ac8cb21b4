"""A grid → its cells: those by which rates are chosen, then those that the tests are made of. Pure, but for the bases.

plan = Plan.of(grid, bases)
plan.tuning                      # first
plan.held_out(chosen)            # with what tuning chose
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, Self

from iterpref.demo import CONFIG
from iterpref.model_identity import folder_identity

from .cells import Cell, Split
from .domains import DOMAINS
from .grid import Arm, Grid, Seeds
from .records import Record, passes_of
from .seeds import SeedPlan
from .teachers import Teacher
from .trainer_table import TRAINERS
from .trainers.runs import TRAINING
from .tuning import Setting, choose

Chosen = Mapping[tuple[str, str], Setting]
"""(domain, arm) → its rate and length."""
UNTRAINED = Setting(0.0, 0.0)


@dataclass(frozen=True)
class Plan:
    """`bases`: (domain, number) → folder and identity. `teachers`: identity of a base → those of its arms, by name."""

    grid: Grid
    bases: Mapping[tuple[str, int], tuple[Path, str]]
    teachers: Mapping[str, dict[str, Teacher]] = field(default_factory=dict)

    @classmethod
    def of(cls, grid: Grid, bases: Path) -> Self:
        """ConfigError where a base, or a teacher, isn't there."""
        folders = {
            (domain, number): DOMAINS[domain].base(number, bases)
            for domain, choice in grid.domains.items()
            for number in {*choice.bases, *(choice.tuning_bases or ())}
        }
        found = {place: (folder, folder_identity(str(folder))) for place, folder in folders.items()}
        names = {arm.teacher for arm in grid.arms.values() if arm.teacher is not None}
        identities = {identity for _, identity in found.values()}
        return cls(grid, found, {i: {n: Teacher.of(n, i, bases) for n in sorted(names)} for i in identities})

    @property
    def tuned(self) -> list[str]:
        """Arms whose rate is chosen here."""
        if self.grid.tuning is None:
            return []
        return [name for name, arm in self.grid.arms.items()
                if arm.trainer != "base" and arm.rates_of is None and arm.rate is None]  # fmt: skip

    @property
    def tuning(self) -> list[Cell]:
        """The cells of the first stage, seed by seed."""
        if self.grid.tuning is None:
            return []
        return [
            self._cell(seed, "validation", name, setting)
            for seed in self._seeds(self.grid.tuning.seeds, tuning=True)
            for name in self.tuned
            for setting in self.tried(name)
        ]

    def tried(self, name: str) -> list[Setting]:
        """The settings that tuning tries for an arm."""
        tuning = self.grid.tuning
        if tuning is None:
            return []
        return [Setting(*both) for both in product(tuning.rates, self.grid.arms[name].lengths or tuning.lengths)]

    def held_out(self, chosen: Chosen) -> list[Cell]:
        """The cells of the second stage, seed by seed; none of an arm for which nothing could be chosen."""
        places = product(self.test_seeds, self.grid.arms)
        cells = (self._test_cell(seed, name, chosen) for seed, name in places)
        return [cell for cell in cells if cell is not None]

    @property
    def test_seeds(self) -> list[SeedPlan]:
        """The seeds that the tests are made of."""
        return list(self._seeds(self.grid.seeds)) if self.grid.seeds else []

    def _test_cell(self, seed: SeedPlan, name: str, chosen: Chosen) -> Cell | None:
        setting, other = self.setting(seed.domain, name, chosen), self.grid.arms[name].as_long_as
        like = self._test_cell(seed, other, chosen) if other is not None else None
        if setting is None or (other is not None and like is None):
            return None
        return self._cell(seed, "held_out", name, setting, like)

    def setting(self, domain: str, name: str, chosen: Chosen) -> Setting | None:
        """The rate and length of an arm; None where tuning must choose them and has not."""
        arm = self.grid.arms[name]
        if arm.trainer == "base":
            return UNTRAINED
        if arm.rates_of is not None:
            return self.setting(domain, arm.rates_of, chosen)
        if name in self.tuned:
            return chosen.get((domain, name))
        rate, length = arm.rate or self.grid.rate, arm.length or self.grid.length
        assert rate and length  # a grid without is refused
        return Setting(rate, length)

    def scores(self, records: Mapping[str, Record]) -> dict[tuple[str, str], dict[Setting, list[bool]]]:
        """(domain, arm) → setting → what passed over all tuning seeds; only settings that have every seed."""
        found: dict[tuple[str, str], dict[Setting, list[bool]]] = {}
        missing = set()
        for cell in self.tuning:
            place, setting = (cell.data.domain, cell.name), Setting(cell.rate, cell.length)
            if cell.key in records:
                found.setdefault(place, {}).setdefault(setting, []).extend(passes_of(records[cell.key]))
            else:
                missing.add((place, setting))
        for place, setting in missing:
            found.get(place, {}).pop(setting, None)
        return found

    def chosen(self, records: Mapping[str, Record]) -> dict[tuple[str, str], Setting]:
        """What tuning chose, for arms all of whose settings are scored."""
        tuning = self.grid.tuning
        if tuning is None:
            return {}
        wanted = len(tuning.rates) * len(tuning.lengths)  # of every arm, see grid.py
        return {place: choose(found) for place, found in self.scores(records).items() if len(found) == wanted}

    def _seeds(self, seeds: Seeds, tuning: bool = False) -> Iterator[SeedPlan]:
        """Seeds of all domains in turn; each has one of its domain's bases, so that a base has as many as another."""
        for place, seed in enumerate(seeds.numbers):
            for domain, choice in self.grid.domains.items():
                bases = choice.tuning_bases or choice.bases if tuning else choice.bases
                number = bases[place % len(bases)]
                folder, weights = self.bases[domain, number]
                debugging = merged(CONFIG["debugging"], self.grid.debugging)
                teachers = self.teachers.get(weights, {})
                yield SeedPlan(domain, number, folder, weights, seed, self.grid.tasks.train, debugging, teachers)

    def _cell(self, seed: SeedPlan, split: Split, name: str, setting: Setting, like: Cell | None = None) -> Cell:
        arm: Arm = self.grid.arms[name]
        tasks = self.grid.tasks.validation if split == "validation" else self.grid.tasks.held_out
        trains = TRAINERS[arm.trainer].reads_settings
        settings = {**TRAINING, **self.grid.training, **arm.training} if trains else {}
        return Cell(seed, split, tasks, name, arm, settings, setting.rate, setting.length, like)


def merged(values: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """`more` on top of `values`, section by section."""
    both = {**values, **more}
    for key in values.keys() & more.keys():
        if isinstance(values[key], dict) and isinstance(more[key], dict):
            both[key] = merged(values[key], more[key])
    return both
