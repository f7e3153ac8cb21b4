"""A grid: one YAML file with the domains, seeds and arms to compare; read and checked before anything runs.

    name: quick
    domains: {steps: {bases: [0]}}
    seeds: {first: 1, count: 3}
    rate: 3.0e-4
    length: 2
    arms:
      dpo: {training: {method: dpo}}
      target_dpo: {training: {method: target_dpo}}
    families: {methods: [target_dpo - dpo]}

A seed draws its own tasks, trajectories and pairs, the same for all arms; it has one of the domain's bases, in turn.
With `tuning`, an arm's rate and length are chosen first, on seeds that are used for nothing else (tuning.py).
Not here: what an arm's pairs and trainer are (pairs.py, trainer_table.py); which cells follow from a grid (plan.py).
"""

import difflib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import Field, ValidationError, model_validator

from iterpref.errors import ConfigError
from iterpref.section import Section

GRIDS = Path(__file__).parent / "grids"
MINUS = " - "
_NUMBERED = "of the grid, the same for all arms: tests pair them. Put this arm into a grid of its own"


class Seeds(Section):
    """Seeds in a row."""

    first: int = Field(ge=0)
    count: int = Field(gt=0)

    @property
    def numbers(self) -> range:
        return range(self.first, self.first + self.count)


class DomainChoice(Section):
    """What of a domain is used."""

    bases: tuple[int, ...] = (0,)
    """Numbers of base models, which seeds have in turn: blocks of the test."""
    tuning_bases: tuple[int, ...] | None = None
    """The same for the seeds by which rates are chosen; default: `bases`."""


class TaskCounts(Section):
    """Tasks of each seed."""

    train: int = Field(default=400, gt=0)
    """Debugged, for pairs."""
    held_out: int = Field(default=1000, gt=0)
    """Evaluated on."""
    validation: int = Field(default=500, gt=0)
    """Evaluated on where rates are chosen."""


class Tuning(Section):
    """How rates and lengths are chosen: every one of them, on these seeds."""

    seeds: Seeds
    rates: tuple[float, ...] = Field(min_length=1)
    lengths: tuple[float, ...] = Field(min_length=1)
    """Epochs, or what the trainer takes for length."""


class Arm(Section):
    """One way to train."""

    trainer: str = "focal"
    """A name in trainer_table.py; `base` doesn't train."""
    pairs: str = "debugging"
    """A name in pairs.py."""
    pairing: dict[str, Any] = Field(default_factory=dict)
    """Keys of `pairing`, on top of `negatives: each`."""
    as_many_as: str | None = None
    """Of more pairs than that set has, so many, drawn by a hash of their ids."""
    share: float = Field(default=1.0, gt=0, le=1)
    """This share of its pairs, drawn so."""
    training: dict[str, Any] = Field(default_factory=dict)
    """Keys of `training`, on top of the grid's."""
    options: dict[str, Any] = Field(default_factory=dict)
    """What only its trainer knows."""
    teacher: str | None = None
    """Who repairs in the debugging that its pairs are made of: `sft` or a base (teachers.py); default: the base."""
    rate: float | None = Field(default=None, gt=0)
    """Not chosen, but this."""
    length: float | None = Field(default=None, gt=0)
    lengths: tuple[float, ...] | None = None
    """What tuning tries for it instead of the grid's lengths, and as many."""
    rates_of: str | None = None
    """Another arm, whose rate and length it takes: a control, an ablation."""
    as_long_as: str | None = None
    """Another arm: its budget is the wall time that debugging and that arm's training take here, not programs."""


class Grid(Section):
    """Everything one grid needs."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    says: str = ""
    """What it asks, in one sentence."""
    domains: dict[str, DomainChoice] = Field(min_length=1)
    seeds: Seeds | None = None
    """None: only rates are chosen."""
    tuning: Tuning | None = None
    rate: float | None = Field(default=None, gt=0)
    """Of all arms, where there is no tuning."""
    length: float | None = Field(default=None, gt=0)
    tasks: TaskCounts = TaskCounts()
    debugging: dict[str, Any] = Field(default_factory=dict)
    """Keys of `debugging`, on top of the demo's."""
    training: dict[str, Any] = Field(default_factory=dict)
    """Keys of `training`, on top of the demo's, for every arm."""
    arms: dict[str, Arm] = Field(min_length=1)
    comparators: tuple[str, ...] = ()
    """Arms that the table of results compares all others with."""
    families: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Family → tests, each `arm - arm`. Holm's correction is within a family on one domain."""

    @property
    def tests(self) -> Iterator[tuple[str, str, str]]:
        """(family, arm, the arm it is compared with), in the order they were registered."""
        for family, tests in self.families.items():
            yield from ((family, *sides_of(test)) for test in tests)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for said in (*self.comparators, *(side for _, *sides in self.tests for side in sides)):
            if said not in self.arms:
                raise ValueError(f"no arm is called {said}; {near(said, self.arms)}")
        if self.seeds is None and self.tuning is None:
            raise ValueError("neither seeds nor tuning: nothing would run")
        _check_seeds(self)
        for name, arm in self.arms.items():
            _check_setting(self, name, arm)
        return self


def sides_of(test: str) -> tuple[str, str]:
    first, minus, second = test.partition(MINUS)
    if not minus or not first or not second or first == second:
        raise ValueError(f"expected a test such as target_dpo{MINUS}dpo, got {test}")
    return first, second


def _check_seeds(grid: Grid) -> None:
    for domain, choice in grid.domains.items():
        blocks = len(choice.bases)
        for name, bases in (("bases", choice.bases), ("tuning_bases", choice.tuning_bases)):
            if bases is not None and (not bases or len(set(bases)) < len(bases)):
                raise ValueError(f"domains.{domain}.{name}: expected different numbers, got {list(bases)}")
        if grid.seeds and grid.seeds.count % blocks:
            raise ValueError(f"seeds.count: {grid.seeds.count} seeds can't be balanced over the {blocks} bases of "
                             f"{domain}; take a multiple of {blocks}")  # fmt: skip
    if grid.seeds and grid.tuning and (both := {*grid.seeds.numbers} & {*grid.tuning.seeds.numbers}):
        raise ValueError(f"tuning.seeds: seed {min(both)} is one of seeds, too; expected seeds that are used for "
                         "nothing else")  # fmt: skip


def _check_setting(grid: Grid, name: str, arm: Arm) -> None:
    """Refuse an arm whose rate or length nobody says, or that doesn't get as many settings as others."""
    if arm.trainer == "base":
        return
    if arm.lengths is not None:
        wanted = len(grid.tuning.lengths) if grid.tuning and not arm.rates_of and not arm.rate else 0
        if len(arm.lengths) != wanted or min(arm.lengths, default=1) <= 0:
            raise ValueError(f"arms.{name}.lengths: expected {wanted} lengths over 0, as many as tuning tries for each "
                             f"(0: this arm is not tuned), got {list(arm.lengths)}")  # fmt: skip
    if arm.rates_of is not None:
        _check_other(grid, name, "rates_of", arm.rates_of, lambda other: other.rates_of is None)
    elif grid.tuning is None and not ((arm.rate or grid.rate) and (arm.length or grid.length)):
        raise ValueError(f"arms.{name}: no rate or no length; give both for the grid, or for the arm, or tuning")
    if arm.as_long_as is not None:
        if grid.tuning is not None and arm.rates_of is None and arm.rate is None:
            raise ValueError(f"arms.{name}.as_long_as: is not tuned by itself; give rates_of, or rate and length")
        _check_other(grid, name, "as_long_as", arm.as_long_as, lambda other: other.as_long_as is None)
    if (arm.rate is None) != (arm.length is None) and grid.tuning is not None:
        raise ValueError(f"arms.{name}: with tuning, give both rate and length, or neither")


def _check_other(grid: Grid, name: str, key: str, said: str, fits: Callable[[Arm], bool]) -> None:
    """Refuse another arm's name that stands for no arm that trains, or for one that leans on a third."""
    other = grid.arms.get(said)
    if other is None or other.trainer == "base" or not fits(other):
        raise ValueError(f"arms.{name}.{key}: expected an arm that trains and has no {key} itself, got {said}; "
                         f"{near(said, grid.arms)}")  # fmt: skip


def file_of(path: str | Path) -> Path:
    """The file of a grid, or of one that comes with the laboratory, by its name."""
    file = Path(path)
    return GRIDS / f"{path}.yaml" if not file.suffix and not file.exists() else file


def read_grid(file: Path) -> Grid:
    """A grid from its file, checked in itself.

    `extends: OTHER` takes the file OTHER beside it for what this one doesn't say.

    Raises:
        ConfigError: Names the file, the key, what was found and what is expected.
    """
    values = _read(file)
    for name, arm in (values.get("arms") or {}).items():
        if isinstance(arm, dict) and "seeds" in arm:
            raise ConfigError(f"{file}: arms.{name}.seeds: seeds are {_NUMBERED}")
    try:
        return Grid.model_validate(values)
    except ValidationError as error:
        raise ConfigError("\n".join(f"{file}: {_explain(dict(found))}" for found in error.errors())) from None


def _read(file: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        there = ", ".join(sorted(path.stem for path in GRIDS.glob("*.yaml")))
        raise ConfigError(f"{file}: can't read this grid ({error.strerror}); there are {there}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{file}: not valid YAML: {error}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{file}: expected a mapping with name, domains, seeds and arms, got {type(values).__name__}")
    if "extends" in values:
        values = {**_read(file.parent / str(values["extends"])), **values}
        del values["extends"]
    return values


def _explain(error: dict[str, Any]) -> str:
    place = [str(part) for part in error["loc"]]
    where = f"{'.'.join(place)}: " if place else ""
    if error["type"] == "extra_forbidden":
        section = Arm if place[:1] == ["arms"] and len(place) == 3 else _SECTIONS.get(place[0], Grid)
        return f"{where}unknown key; {near(place[-1], section.model_fields)}"
    got = "" if isinstance(error["input"], dict) else f", got {error['input']!r}"
    return f"{where}{error['msg'].removeprefix('Value error, ')}{got}"


_SECTIONS: dict[str, type[Section]] = {"seeds": Seeds, "tasks": TaskCounts, "tuning": Tuning, "domains": DomainChoice}


def near(word: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
