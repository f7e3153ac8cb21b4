"""A grid's records → estimates over seeds, the registered tests with their decisions, and which cells are missing."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

from iterpref.analysis.compare import holm

from .cells import Cell
from .plan import Chosen, Plan
from .records import Record, Records, finished, mixed
from .run import by_seed, data_key, of_cells
from .seeds import parts_of
from .statistics import Blocks, Estimate, estimate

LEVEL = 0.05


@dataclass(frozen=True)
class Test:
    """A registered test on one domain: `first` minus `second`.

    `adjusted` is p after Holm's correction; `strictest` is the level that the smallest p of the family has to pass.
    """

    __test__ = False

    domain: str
    family: str
    first: str
    second: str
    found: Estimate
    adjusted: float = 1.0
    strictest: float = LEVEL

    @property
    def decision(self) -> str:
        if self.adjusted >= LEVEL:
            return "undecided"
        return f"{self.first if self.found.mean > 0 else self.second} is better"


@dataclass(frozen=True)
class Results:
    """`records`: key → record of the finished cells; `failures`: key → why, of those that failed."""

    plan: Plan
    chosen: Chosen
    records: Mapping[str, Record]
    failures: Mapping[str, str]
    made: Mapping[str, Record]
    """Key → what became of a seed's trajectories."""

    @classmethod
    def of(cls, plan: Plan, records: Records) -> Self:
        chosen = plan.chosen(of_cells(plan.tuning, records))
        cells = [*plan.tuning, *plan.held_out(chosen)]
        failures = {}
        for cell in cells:
            record = records.get(cell.key)
            if record is not None and not finished(record):
                failures[cell.key] = str(record["error"])
        keys = {data_key(cell.data, part) for cell in cells if cell.trains for part in parts_of(cell.arm)}
        made = {key: record for key in sorted(keys) if (record := records.get(key)) is not None}
        return cls(plan, chosen, of_cells(cells, records), failures, made)

    @cached_property
    def cells(self) -> list[Cell]:
        """Of the test seeds, as far as rates are chosen."""
        return self.plan.held_out(self.chosen)

    @property
    def missing(self) -> list[tuple[str, str]]:
        """(cell, why it has no score) of both stages."""
        found = [
            (cell.says, self.failures.get(cell.key, "not run yet"))
            for cell in [*self.plan.tuning, *self.cells]
            if cell.key not in self.records
        ]
        seeds = self.plan.grid.seeds
        for domain in self.plan.grid.domains if seeds else ():
            for name in self.plan.tuned:
                if (domain, name) not in self.chosen:
                    found.append((f"{domain} {name}", "not run: its rate is not chosen, for cells above are missing"))
        return found + [(says, "was trained on other trajectories than other arms of its seed") for says in self._apart]

    @property
    def _apart(self) -> list[str]:
        """Cells whose seed has some that were trained on other trajectories; the command makes the data and runs again
        those that were trained on others."""
        found = []
        for cells in by_seed(self.cells).values():
            there = [cell for cell in cells if cell.trains and cell.key in self.records]
            if mixed(self.records[cell.key] for cell in there):
                found += [cell.says for cell in there]
        return found

    def of_arm(self, domain: str, name: str) -> list[Record]:
        """The records of an arm on the test seeds."""
        cells = [cell for cell in self.cells if (cell.data.domain, cell.name) == (domain, name)]
        return [self.records[cell.key] for cell in cells if cell.key in self.records]

    def blocks(self, domain: str, name: str) -> Blocks | None:
        """Base → pass@1 of each of its seeds; None unless every seed is there."""
        records, seeds = self.of_arm(domain, name), self.plan.grid.seeds
        if seeds is None or len(records) < seeds.count:
            return None
        found: dict[int, list[float]] = {}
        for record in records:
            found.setdefault(record["base"], []).append(record["passed"])
        return found

    def score(self, domain: str, name: str) -> Estimate | None:
        """An arm's mean pass@1 over these bases."""
        blocks = self.blocks(domain, name)
        return _estimate(blocks) if blocks else None

    def difference(self, domain: str, first: str, second: str) -> Estimate | None:
        """The mean of seed differences, first minus second."""
        sides = self.blocks(domain, first), self.blocks(domain, second)
        if sides[0] is None or sides[1] is None:
            return None
        one, other = sides
        return _estimate({base: [a - b for a, b in zip(one[base], other[base], strict=True)] for base in one})

    @cached_property
    def tests(self) -> list[Test]:
        """The registered tests that can be made: those of families all of whose cells are there."""
        if self._apart:
            return []
        found = []
        for domain in self.plan.grid.domains:
            for family in self.plan.grid.families:
                sides = [test[1:] for test in self.plan.grid.tests if test[0] == family]
                estimates = [self.difference(domain, *both) for both in sides]
                tests = [Test(domain, family, *both, e) for both, e in zip(sides, estimates, strict=True) if e]
                if len(tests) == len(sides):
                    adjusted = holm([test.found.p for test in tests])
                    level = LEVEL / len(tests)
                    found += [replace(t, adjusted=p, strictest=level) for t, p in zip(tests, adjusted, strict=True)]
        return found


def _estimate(blocks: Blocks) -> Estimate | None:
    """None where one seed a base says nothing of the noise."""
    return estimate(blocks) if min(map(len, blocks.values())) > 1 else None
