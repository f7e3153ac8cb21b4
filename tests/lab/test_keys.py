"""What decides a cell is in its key, or here: a default that changes must not be taken for the old one."""

from dataclasses import fields
from pathlib import Path

import pytest
from benchmarks.lab import cells, seeds
from benchmarks.lab.checks import load_grid
from benchmarks.lab.domains import BASES
from benchmarks.lab.phases import Grpo, Mixture, Rounds, Stages
from benchmarks.lab.plan import Plan
from benchmarks.lab.records import alone
from benchmarks.lab.trainers.grpo import LIMITS

from iterpref.config import DebuggingConfig, PairingConfig
from iterpref.errors import ConfigError
from iterpref.records import fingerprint
from iterpref.training.config import FocalDPOConfig

SECTIONS = (DebuggingConfig(), PairingConfig(), Grpo(), Rounds(), Stages(), Mixture(), LIMITS)
OURS = vars(FocalDPOConfig)["__annotations__"]
PINNED = {1: "d7892fe293e7c45b82a03d7c"}


def test_defaults_that_no_key_holds_are_those_of_the_version() -> None:
    """Keys hold what differs from a default. If this fails because a default has another value, or is new and not
    what was done before: raise VERSION in seeds.py, so that no finished cell is taken for the new one. In any case pin
    what there is now."""
    sections = [section.model_dump(mode="json") for section in SECTIONS]
    own = {field.name: str(field.default) for field in fields(FocalDPOConfig) if field.name in OURS}
    now = fingerprint([sections, own])
    assert {seeds.VERSION: now} == {seeds.VERSION: PINNED.get(seeds.VERSION)}


def test_another_version_has_other_keys_of_cells_and_of_their_data(monkeypatch: pytest.MonkeyPatch) -> None:
    def keys() -> tuple[set[str], set[Path]]:
        plan = Plan.of(load_grid("ablations"), BASES)
        return {cell.key for cell in plan.tuning}, {seeds.SeedData(cell.data, Path()).folder for cell in plan.tuning}

    before = keys()
    for module in (seeds, cells):
        monkeypatch.setattr(module, "VERSION", 2)
    after = keys()
    assert all(not old & new for old, new in zip(before, after, strict=True))
    assert [len(old) for old in before] == [len(new) for new in after]


def test_two_commands_do_not_run_cells_in_one_folder(tmp_path: Path) -> None:
    with alone(tmp_path / "work"):
        with pytest.raises(ConfigError, match="another command of the laboratory runs cells here"), \
             alone(tmp_path / "work"):  # fmt: skip
            raise AssertionError("two at once")
        with alone(tmp_path / "other"):
            pass
    with alone(tmp_path / "work"):
        pass
