"""A grid's arms against the tables that they name things of, before anything runs or torch is loaded."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from iterpref.config import DebuggingConfig, PairingConfig
from iterpref.errors import ConfigError

from .domains import DOMAINS
from .grid import Arm, Grid, file_of, near, read_grid
from .pairs import PAIRS
from .trainer_table import TRAINERS


def load_grid(path: str | Path) -> Grid:
    """A grid from its file, or by the name of one that comes with the laboratory.

    Raises:
        ConfigError: Names the file, the key, what was found and what is expected.
    """
    file = file_of(path)
    grid = read_grid(file)
    _check_names(grid, file)
    return grid


def _check_names(grid: Grid, file: Path) -> None:
    for domain in grid.domains:
        _known(domain, DOMAINS, f"{file}: domains", "domain")
    _of_section(DebuggingConfig, grid.debugging, f"{file}: debugging")
    for name, arm in grid.arms.items():
        where = f"{file}: arms.{name}"
        _known(arm.trainer, TRAINERS, f"{where}.trainer", "trainer")
        _known(arm.pairs, PAIRS, f"{where}.pairs", "set of pairs")
        if arm.as_many_as is not None:
            _known(arm.as_many_as, PAIRS, f"{where}.as_many_as", "set of pairs")
        _of_section(PairingConfig, arm.pairing, f"{where}.pairing")
        try:
            _check_arm(grid, arm)
            TRAINERS[arm.trainer].check(arm, {**grid.training, **arm.training})
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from None


def _check_arm(grid: Grid, arm: Arm) -> None:
    """What no trainer can do with an arm's pairs or its budget."""
    if arm.as_long_as is not None:
        if not TRAINERS[arm.trainer].timed:
            timed = ", ".join(name for name, trainer in TRAINERS.items() if trainer.timed)
            raise ConfigError(f"as_long_as: a budget of time is for trainer {timed}; leave it out")
        other = grid.arms[arm.as_long_as]
        if (other.trainer, other.pairs, other.teacher) != ("focal", "debugging", None):
            raise ConfigError("as_long_as: expected an arm of trainer focal on the base's own debugging, which is what "
                              f"is done again to measure it, got {arm.as_long_as}")  # fmt: skip
    if arm.teacher is not None and PAIRS[arm.pairs].origin != "debugging":
        raise ConfigError(f"teacher: nobody repairs where pairs are {arm.pairs}; leave it out")
    others = sorted(arm.pairing.keys() - {"diagnosed", "negatives"})
    if arm.pairing.get("diagnosed") is not None and (others or arm.teacher or PAIRS[arm.pairs].origin != "debugging"):
        raise ConfigError("pairing.diagnosed: only the usual pairs of the base's own debugging are diagnosed; leave it "
                          f"out, or {', '.join(others) or 'the teacher or other pairs'}")  # fmt: skip


def _known(name: str, table: Mapping[str, Any], where: str, what: str) -> None:
    if name not in table:
        raise ConfigError(f"{where}: no {what} is called {name}; {near(name, table)}")


def _of_section(section: type[Any], values: dict[str, Any], where: str) -> None:
    try:
        section.model_validate(values)
    except ValidationError as error:
        found = error.errors()[0]
        key = ".".join(map(str, found["loc"]))
        raise ConfigError(f"{where}.{key}: {found['msg']}, got {found['input']!r}") from None
