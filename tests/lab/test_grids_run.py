"""Every arm of the grids that come with the laboratory trains: once each, on a seed of 24 tasks. Minutes."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks.lab.cells import Cell
from benchmarks.lab.checks import load_grid
from benchmarks.lab.grid import DomainChoice, Grid, Seeds, TaskCounts
from benchmarks.lab.plan import Plan
from benchmarks.lab.seeds import SeedData, parts_of

NAMES = ("methods", "ablations", "variants", "teachers")  # the others have the same arms
SMALL = {
    "domains": {"steps": DomainChoice()},
    "seeds": Seeds(first=5, count=1),
    "tuning": None,
    "rate": 3e-4,
    "length": 2.0,
    "tasks": TaskCounts(train=24, held_out=4),
    "debugging": {"max_iterations": 2, "sampling": {"temperature": 1.2, "max_tokens": 96}},
    "training": {"warmup_steps": 0, "per_device_train_batch_size": 8},
}


def small(name: str) -> Grid:
    """A grid with few tasks, and without teachers that have to be pretrained."""
    grid = load_grid(name)
    arms = {name: arm for name, arm in grid.arms.items() if arm.teacher in (None, "sft")}
    return grid.model_copy(update={**SMALL, "arms": arms})


def new_cells() -> Iterator[tuple[str, str]]:
    """(grid, arm) of arms that no grid before has."""
    seen: set[str] = set()
    for name in NAMES:
        for arm_name, arm in small(name).arms.items():
            says = arm.model_copy(update={"rates_of": None, "lengths": None}).model_dump_json()
            if says not in seen:
                seen.add(says)
                yield name, arm_name


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lab")


@pytest.mark.slow
@pytest.mark.parametrize(("grid", "arm"), list(new_cells()))
def test_it_trains(grid: str, arm: str, work: Path) -> None:
    plan = Plan.of(small(grid), work)
    cell: Cell = next(cell for cell in plan.held_out({}) if cell.name == arm)
    data = SeedData(cell.data, work)
    for part in parts_of(cell.arm) if cell.trains else ():
        data.make(part)
    record = cell.run(work)
    assert len(record["outcomes"]) == 4
    assert not cell.trains or (record["steps"] > 0 and record["spent"]["programs"] > 0)
