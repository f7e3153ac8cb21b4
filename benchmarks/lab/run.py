"""A grid's cells, run on all cores: rates first, then the test seeds with the rates that were chosen.

A seed's data is made when the first of its cells needs it. A cell that fails leaves a record of why; the others go on,
and the same command tries it again. Nothing that is finished is run again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iterpref.files import write_text
from iterpref.records import fingerprint

from .cells import Cell
from .plan import Plan
from .records import Record, Records, alone, finished, mixed
from .seeds import SeedData, SeedPlan, parts_of
from .workers import Failure, Group, Job, run_jobs

Say = Callable[[str], None]


@dataclass(frozen=True)
class SeedJob:
    """Make a seed's data; part → what became of it."""

    plan: SeedPlan
    parts: tuple[str, ...]
    work: Path

    def run(self) -> dict[str, Record]:
        data = SeedData(self.plan, self.work)
        return {part: data.make(part) for part in self.parts}


@dataclass(frozen=True)
class CellJob:
    cell: Cell
    work: Path

    def run(self) -> Record:
        record = self.cell.run(self.work)
        Records(self.work).put(record)  # here, so that nothing is lost between two processes
        return record


def run_grid(plan: Plan, work: Path, processes: int, say: Say) -> None:
    """Both stages."""
    run_cells(plan.tuning, work, processes, say)
    chosen = plan.chosen(of_cells(plan.tuning, Records(work)))
    run_cells(plan.held_out(chosen), work, processes, say)


def run_cells(cells: Sequence[Cell], work: Path, processes: int, say: Say) -> None:
    """Those of the cells that are not finished, each with a record at the end."""
    with alone(work):
        _Stage(Records(work), work, say).run(cells, processes)


def make_data(seeds: Sequence[SeedPlan], parts: Sequence[str], work: Path, processes: int, say: Say) -> None:
    """Parts of the data of these seeds, each with a record of what became of it."""
    stage = _Stage(Records(work), work, say)
    groups = [Group(SeedJob(seed, tuple(parts), work), lambda _: ()) for seed in seeds]
    if groups:
        with alone(work):
            run_jobs(groups, min(processes, len(groups)), stage.done)


def of_cells(cells: Sequence[Cell], records: Records) -> dict[str, Record]:
    """Key → record of those cells that are finished."""
    found = {cell.key: records.get(cell.key) for cell in cells}
    return {key: record for key, record in found.items() if record is not None and finished(record)}


def data_key(plan: SeedPlan, part: str) -> str:
    """Under which it is kept what became of a part of a seed's data."""
    teacher = plan.teacher(part)
    return fingerprint([plan.what, part, *([teacher.identity] if teacher else [])])


def by_seed(cells: Sequence[Cell]) -> dict[tuple[str, int, int], list[Cell]]:
    """The cells of each (domain, base, seed), which share their data."""
    found: dict[tuple[str, int, int], list[Cell]] = {}
    for cell in cells:
        found.setdefault((cell.data.domain, cell.data.base, cell.data.seed), []).append(cell)
    return found


class _Stage:
    def __init__(self, records: Records, work: Path, say: Say) -> None:
        self._records, self._work, self._say = records, work, say
        self._left = 0

    def run(self, cells: Sequence[Cell], processes: int) -> None:
        self._left = sum(not self._is_finished(cell) for cell in cells)
        seeds = by_seed(cells).values()
        unfinished = [seed for seed in seeds if self._is_mixed(seed) or not all(map(self._is_finished, seed))]
        if unfinished:
            run_jobs(map(self._group, unfinished), min(processes, max(1, self._left)), self.done)

    def _is_finished(self, cell: Cell) -> bool:
        return finished(self._records.get(cell.key))

    def _is_mixed(self, cells: Sequence[Cell]) -> bool:
        return mixed(record for cell in cells if (record := self._records.get(cell.key)) is not None)

    def _group(self, cells: list[Cell]) -> Group:
        """A seed's cells, after its data if any of them still needs it."""
        plan = cells[0].data
        needing = [cell for cell in cells if cell.trains and not self._is_finished(cell)]
        if not needing and not self._is_mixed(cells):
            return Group(None, lambda _: self._jobs(cell for cell in cells if not self._is_finished(cell)))
        job = SeedJob(plan, tuple(parts_of(*(cell.arm for cell in cells if cell.trains))), self._work)
        return Group(job, lambda made: self._after(cells, made))

    def _after(self, cells: list[Cell], made: Mapping[str, Record] | Failure) -> Sequence[Job]:
        """What is left to do when a seed's data is made: also cells that were trained on other trajectories."""
        left = [cell for cell in cells if not self._is_finished(cell)]
        if isinstance(made, Failure):
            why = f"the data of {cells[0].data.name} could not be made: {made.why}"
            for cell in left:
                if cell.trains:
                    self._fail(cell, Failure(why, made.details))
            return self._jobs(cell for cell in left if not cell.trains)
        hashes = {part: record["hash"] for part, record in made.items()}
        others = [cell for cell in cells if self._is_finished(cell) and not self._made_of(cell, hashes)]
        if others:
            self._left += len(others)
            self._say(f"{cells[0].data.name}: made anew, its trajectories are others here (another kind of machine?), "
                      f"so {len(others)} finished cells are run again")  # fmt: skip
        return self._jobs([*others, *left])

    def _made_of(self, cell: Cell, hashes: Mapping[str, str]) -> bool:
        record = self._records.get(cell.key) or {}
        return not cell.trains or all(hashes[part] == h for part, h in record.get("trajectories", {}).items())

    def _jobs(self, cells: Any) -> list[Job]:
        return [CellJob(cell, self._work) for cell in cells]

    def done(self, job: Job, result: Any) -> None:
        if isinstance(job, SeedJob):
            self._seed_done(job, result)
        elif isinstance(job, CellJob):
            if isinstance(result, Failure):
                self._fail(job.cell, result)
            else:
                self._left -= 1
                seconds = sum(result["seconds"])
                self._say(f"{job.cell.says}: {100 * result['passed']:.1f} ({seconds:.0f} s, {self._left} left)")

    def _seed_done(self, job: SeedJob, result: Any) -> None:
        if isinstance(result, Failure):
            self._say(f"{job.plan.name}: no data: {result.why}")
            return
        for part, facts in result.items():
            key, what = data_key(job.plan, part), job.plan.what_of(part)
            self._records.put({"key": key, "base": job.plan.base, "what": what, "made": facts})
        self._say(f"{job.plan.name}: {', '.join(_became(part, facts) for part, facts in result.items())}")

    def _fail(self, cell: Cell, failure: Failure) -> None:
        self._left -= 1
        self._records.put(cell.heading | {"error": failure.why})
        errors = self._work / "errors"
        errors.mkdir(parents=True, exist_ok=True)
        write_text(
            errors / f"{cell.key}.txt", f"{cell.says}\n{failure.why}\n{failure.details}", errors="backslashreplace"
        )
        self._say(f"{cell.says}: failed: {failure.why}")


def _became(part: str, facts: Record) -> str:
    if "passed" in facts:
        return f"{part} passed {100 * facts['passed'][-1]:.1f}"
    return f"{facts['holds']} of {facts['pairs']} pairs hold their fault"
