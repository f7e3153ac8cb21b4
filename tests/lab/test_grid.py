"""Grids: those that come with the laboratory, and mistakes in one's own."""

import re
from pathlib import Path

import pytest
import yaml
from benchmarks.lab.checks import load_grid
from benchmarks.lab.domains import DOMAINS
from benchmarks.lab.grid import GRIDS
from benchmarks.lab.teachers import SEED as TEACHER_SEED

from iterpref.errors import ConfigError

GOOD = {
    "name": "small",
    "domains": {"steps": {"bases": [0]}},
    "seeds": {"first": 1, "count": 2},
    "rate": 1e-3,
    "length": 1,
    "arms": {
        "base": {"trainer": "base"},
        "sft": {"training": {"method": "sft"}},
        "dpo": {"training": {"method": "dpo"}},
    },
    "families": {"all": ["sft - dpo"]},
}
TUNING = {"seeds": {"first": 9, "count": 1}, "rates": [1e-3], "lengths": [1]}


def write(folder: Path, **changes: object) -> Path:
    """The good grid with other values for some keys; None leaves one out."""
    values = {key: value for key, value in {**GOOD, **changes}.items() if value is not None}
    path = folder / "grid.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return path


# Grids that share the seeds of another, as docs/results.md says: of another domain, or because nothing is tested.
SCREENED = ("variants", "teachers", "sizes", "reasons", "longer", "reuse")
SHARED = {"objects": "methods"} | dict.fromkeys(SCREENED, "ablations")


def grids() -> list[str]:
    return sorted(path.stem for path in GRIDS.glob("*.yaml"))


@pytest.mark.parametrize("name", grids())
def test_the_grids_that_come_with_it_are_good(name: str) -> None:
    assert load_grid(name).name == name


def test_the_confirming_grid_shares_its_seeds_with_none() -> None:
    grid = load_grid("confirm")
    assert list(grid.tests) == [("variant", "variant", "sft"), ("variant", "variant", "target_rpo")]
    others = [load_grid(name).seeds for name in grids() if name != "confirm"]
    used = {number for seeds in others if seeds for number in seeds.numbers}
    assert grid.seeds and not used & {*grid.seeds.numbers}


def test_no_seed_serves_two_purposes() -> None:
    """As docs/results.md promises."""
    used: dict[int, str] = {}
    for name in grids():
        grid = load_grid(name)
        tuning = grid.tuning.seeds.numbers if grid.tuning else ()
        purposes = [("rates", number) for number in tuning]
        purposes += [(SHARED.get(name, name), number) for number in (grid.seeds.numbers if grid.seeds else ())]
        for purpose, number in purposes:
            assert used.setdefault(number, purpose) == purpose
    assert TEACHER_SEED not in used


def test_a_grid_takes_from_another_what_it_does_not_say(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "more.yaml").write_text("extends: grid.yaml\nname: more\nseeds: {first: 5, count: 4}\n")
    grid = load_grid(tmp_path / "more.yaml")
    assert (grid.name, grid.seeds and grid.seeds.count, list(grid.arms)) == ("more", 4, ["base", "sft", "dpo"])


def arm(**values: object) -> dict[str, object]:
    return {"arms": {**GOOD["arms"], "x": values}}  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 3}, "grid.yaml: seed: unknown key; did you mean seeds?"),
        ({"seeds": {"first": 1, "last": 3}}, "grid.yaml: seeds.last: unknown key"),
        ({"seeds": {"first": 1, "count": 0}}, "grid.yaml: seeds.count: Input should be greater than 0, got 0"),
        ({"domains": {"step": {}}}, "grid.yaml: domains: no domain is called step; did you mean steps?"),
        ({"domains": {"steps": {"bases": [0, 0]}}}, "domains.steps.bases: expected different numbers, got [0, 0]"),
        ({"domains": {"steps": {"bases": [0, 1, 2]}}}, "seeds.count: 2 seeds can't be balanced over the 3 bases"),
        (arm(training={"method": "tarpo"}), "arms.x: training.method: no method is called tarpo; did you mean"),
        (arm(training={"betta": 1}), "arms.x: training: unknown key betta; did you mean beta?"),
        (arm(training={"beta": -1}), "arms.x: training: beta=-1 can't be used; expected 0 or more"),
        (arm(training={"learning_rate": 1}), "arms.x: training.learning_rate: the grid says it (rate); leave it out"),
        (arm(trainer="focall"), "arms.x.trainer: no trainer is called focall; did you mean focal?"),
        (arm(trainer="base", pairs="swapped"), "arms.x: pairs: trainer base doesn't train; leave that out"),
        (arm(trainer="kto", training={"alpha": 1}), "arms.x: training.alpha: trainer kto knows beta"),
        (arm(options={"rounds": 3}), "arms.x: options: trainer focal has none, got rounds"),
        (arm(pairs="debuging"), "arms.x.pairs: no set of pairs is called debuging; did you mean debugging?"),
        (arm(pairs="passing"), "arms.x: pairs: passing has chosen sides only, which method sft alone can learn"),
        (arm(pairing={"negatives": "all"}), "arms.x.pairing.negatives: Input should be 'random', 'first'"),
        (arm(seeds={"first": 1, "count": 9}), "arms.x.seeds: seeds are of the grid, the same for all arms"),
        (
            arm(rates_of="spt"),
            "expected an arm that trains and has no rates_of itself, got spt; did you mean sft?",
        ),
        (arm(shares=0.5), "arms.x.shares: unknown key; did you mean share?"),
        ({"families": {"all": ["sft dpo"]}}, "expected a test such as target_dpo - dpo, got sft dpo"),
        ({"families": {"all": ["sft - dpi"]}}, "no arm is called dpi; did you mean dpo?"),
        ({"comparators": ["rl"]}, "no arm is called rl; there are base, sft, dpo"),
        ({"rate": None}, "arms.sft: no rate or no length; give both for the grid, or for the arm, or tuning"),
        ({"seeds": None}, "neither seeds nor tuning: nothing would run"),
        ({"tuning": {**TUNING, "seeds": {"first": 2, "count": 2}}}, "tuning.seeds: seed 2 is one of seeds, too"),
        ({"tuning": TUNING, **arm(rate=1e-3)}, "arms.x: with tuning, give both rate and length, or neither"),
        ({"debugging": {"max_iterations": -1}}, "debugging.max_iterations: Input should be greater than or equal to 0"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)) as error:
        load_grid(write(tmp_path, **changes))
    assert str(tmp_path / "grid.yaml") in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"), [("a: [", "not valid YAML"), ("- a", "expected a mapping"), ("", "got None")]
)
def test_what_is_no_grid(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "grid.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_grid(path)


def test_no_such_grid_and_no_such_base(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"mehtods.yaml: can't read this grid .*; there are ablations, .*methods"):
        load_grid("mehtods")
    with pytest.raises(ConfigError, match=r"domain steps: no base 7 in .*: python -m iterpref.playground.pretrain .*7"):
        DOMAINS["steps"].base(7, tmp_path)
