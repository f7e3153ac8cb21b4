"""Arms that write programs themselves or train in phases, as cells of a grid: really run, with eight tasks."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from benchmarks.lab.cells import Cell
from benchmarks.lab.checks import load_grid
from benchmarks.lab.plan import Plan
from benchmarks.lab.seeds import SeedData, parts_of

from iterpref.errors import ConfigError

SMALL = {"group": 2}
ARMS: dict[str, dict[str, Any]] = {
    "target_rpo": {"training": {"method": "target_rpo"}},
    "grpo": {"trainer": "grpo", "options": SMALL, "length": 4},
    "grpo_time": {"trainer": "grpo", "options": SMALL, "length": 4, "as_long_as": "target_rpo"},
    "rounds": {"trainer": "rounds", "options": {"rounds": 2}},
    "stages": {"trainer": "stages", "length": 2},
    "mixture": {"trainer": "mixture", "options": {"updates": 2, "grpo": SMALL}},
    "taught": {"training": {"method": "sft"}, "teacher": "sft"},
    "diagnosed": {"training": {"method": "target_rpo"}, "pairing": {"diagnosed": 0.5}},
}
GRID = {
    "name": "small",
    "domains": {"steps": {"bases": [0]}},
    "seeds": {"first": 5, "count": 1},
    "rate": 1e-3,
    "length": 1,
    "tasks": {"train": 16, "held_out": 4},
    # hot, so that few tasks suffice for right and wrong draws of one
    "debugging": {"max_iterations": 2, "sampling": {"temperature": 1.5, "max_tokens": 96}},
    "training": {"warmup_steps": 0, "per_device_train_batch_size": 4, "train_sampling_strategy": "random"},
    "arms": ARMS,
}


def grid_of(folder: Path, **changes: Any) -> Path:
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(GRID | changes, sort_keys=False))
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Cell], int]:
    """A work folder with the seed's trajectories, the grid's cells, and how many programs debugging wrote."""
    work = tmp_path_factory.mktemp("lab")
    cells = Plan.of(load_grid(grid_of(work)), work).held_out({})
    calls = SeedData(cells[0].data, work).make("debugging")["calls"]
    return work, {cell.name: cell for cell in cells}, calls


def run(made: tuple[Path, dict[str, Cell], int], name: str) -> dict[str, Any]:
    work, cells, _ = made
    record = cells[name].run(work)
    assert len(record["outcomes"]) == 4 and record["trajectories"].keys() == set(parts_of(cells[name].arm))
    assert not (work / "cells" / cells[name].key).exists()
    return record


def test_grpo_writes_as_many_programs_as_debugging(made) -> None:
    record = run(made, "grpo")
    assert made[2] - 8 < record["spent"]["programs"] <= made[2]
    assert 3 <= record["steps"] == len(record["rewards"]) <= 5, "about as many updates as its length"
    assert record["spent"]["completion_tokens"] > record["spent"]["programs"]
    assert 0 < record["wall_seconds"] <= record["seconds"][0] + 0.1
    assert record["what"]["training"] == {}, "settings of other losses are no part of its key"


def test_grpo_has_the_time_that_debugging_and_training_take(made) -> None:
    record = run(made, "grpo_time")
    assert record["wall_s"] > 1 and record["like_cpu_seconds"] > 0 < record["cpu_seconds"]
    assert record["steps"] == len(record["rewards"]) >= 1
    # a step that would likely have ended later was not begun, but for the first
    assert record["wall_seconds"] < 1.5 * record["wall_s"] or record["steps"] == 1
    assert record["seconds"][0] > record["wall_s"] + record["wall_seconds"] - 0.1, "both were done here"


def test_rounds_share_what_debugging_spent(made) -> None:
    record = run(made, "rounds")
    first, second = record["parts"]
    assert made[2] - 3 < record["spent"]["programs"] <= made[2]
    assert first["spent"]["programs"] + second["spent"]["programs"] == record["spent"]["programs"]
    assert second["after"] == record["passed"], "gains are on the cell's own tasks"
    assert first["tasks"] >= 2 and {"gain", "gain_per_program", "pairs"} <= second.keys()


def test_stages_share_the_epochs_and_cost_what_their_pairs_cost(made) -> None:
    record = run(made, "stages")
    sft, target = record["parts"]
    assert (sft["trainer"], target["trainer"]) == ("sft", "target_dpo")
    assert 0 < target["steps"] <= sft["steps"], "sft keeps pairs that only insert"
    assert sft["steps"] == -(-sft["pairs"] // 4), "two epochs, one each"
    assert record["pairs"] == max(sft["pairs"], target["pairs"])
    assert record["spent"]["programs"] == made[2]


def test_a_mixture_spends_half_on_pairs(made) -> None:
    record = run(made, "mixture")
    focal, grpo = record["parts"]
    assert focal["trainer"] == "target_rpo" and focal["spent"]["programs"] <= made[2] // 2
    assert record["spent"]["programs"] == focal["spent"]["programs"] + grpo["spent"]["programs"] <= made[2]
    assert record["pairs"] == focal["pairs"] and "pairs" not in grpo


def test_diagnosed_pairs_are_a_part_of_the_others(made) -> None:
    work, cells, _ = made
    data, plain, kept = SeedData(cells["diagnosed"].data, work), cells["target_rpo"].arm, cells["diagnosed"].arm
    found = data.make("diagnosed")
    assert data.make("diagnosed") == found and found["calls"] > 0 < found["completion_tokens"]
    pairs = {pair.pair_id for pair in data.pair_records(plain)}
    held = {pair.pair_id for pair in data.pair_records(kept)}
    assert held < pairs or found["holds"] == len(pairs)
    assert len(held) == found["holds"] and found["pairs"] == len(pairs)
    assert data.spent(kept).programs == data.spent(plain).programs + found["calls"]


@pytest.mark.slow
def test_a_teacher_repairs_what_the_base_wrote(made) -> None:
    """Half a minute: the teacher is trained first."""
    work, cells, _ = made
    data, arm = SeedData(cells["taught"].data, work), cells["taught"].arm
    taught = data.make("taught:sft")
    own = data.make("debugging")
    assert taught["passed"][0] == own["passed"][0] and taught["hash"] != own["hash"]
    with data.read("taught:sft") as other, data.read("debugging") as first:
        attempts = [{t.task_id: t.attempts[0].program for t in store.trajectories()} for store in (other, first)]
    assert attempts[0] == attempts[1]
    record = run(made, "taught")
    assert record["spent"]["programs"] == taught["calls"]
    assert cells["taught"].what["teacher"] == cells["taught"].data.teachers["sft"].identity
    assert data.pairs(arm) != data.pairs(cells["target_rpo"].arm)


def test_keys_tell_what_a_budget_and_a_teacher_depend_on(made, tmp_path: Path) -> None:
    work, cells, _ = made
    other = {**ARMS, "target_rpo": {"training": {"method": "target_rpo"}, "length": 3}}
    changed = {c.name: c for c in Plan.of(load_grid(grid_of(tmp_path, arms=other)), work).held_out({})}
    same = {name for name in cells if changed[name].key == cells[name].key}
    assert same == set(ARMS) - {"target_rpo", "grpo_time"}


def refused(folder: Path, message: str, **arm: Any) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        load_grid(grid_of(folder, arms={**ARMS, "x": arm}))


@pytest.mark.parametrize(
    ("arm", "message"),
    [
        ({"trainer": "grpo", "options": {"gruop": 4}}, "options.gruop: trainer grpo has no such option; did you mean "
         "group?"),
        ({"trainer": "grpo", "options": {"group": 1}}, "options.group: Input should be greater than or equal to 2"),
        ({"trainer": "grpo", "training": {"beta": 0.1}}, "arms.x: training: says nothing to trainer grpo"),
        ({"trainer": "grpo", "pairs": "sampling"}, "arms.x: pairs: says nothing to trainer grpo"),
        ({"trainer": "rounds", "options": {"parts": True}}, "options.parts: trainer rounds has no such option"),
        ({"trainer": "rounds", "training": {"method": "tarpo"}}, "training.method: no method is called tarpo"),
        ({"trainer": "rounds", "pairing": {"diagnosed": 0.5}}, "pairs that nobody diagnosed; leave it out"),
        ({"trainer": "stages", "options": {"stages": []}}, "options.stages: Tuple should have at least 1 item"),
        ({"trainer": "stages", "options": {"stages": [{"method": "stf"}]}}, "options.stages.method: no method is "
         "called stf; did you mean sft?"),
        ({"trainer": "mixture", "options": {"grpo": {"rate": 1}}}, "options.grpo.rate: trainer mixture has no such"),
        ({"trainer": "mixture", "share": 0.5}, "arms.x: share: says nothing to trainer mixture; leave it out"),
        ({"as_long_as": "target_rpo"}, "arms.x: as_long_as: a budget of time is for trainer grpo; leave it out"),
        ({"trainer": "grpo", "as_long_as": "grpo_time"}, "arms.x.as_long_as: expected an arm that trains and has no "
         "as_long_as itself, got grpo_time"),
        ({"trainer": "grpo", "as_long_as": "stages"}, "as_long_as: expected an arm of trainer focal on the base's own "
         "debugging"),
        ({"teacher": "sft", "pairs": "sampling"}, "arms.x: teacher: nobody repairs where pairs are sampling"),
        ({"pairing": {"diagnosed": 0.5, "diff": "prefix_suffix"}}, "are diagnosed; leave it out, or diff"),
        ({"lengths": [1, 2]}, "arms.x.lengths: expected 0 lengths over 0"),
    ],
)  # fmt: skip
def test_what_an_arm_can_t_say(tmp_path: Path, arm: dict[str, Any], message: str) -> None:
    refused(tmp_path, message, **arm)


def test_an_arm_of_other_lengths_gets_as_many_settings(tmp_path: Path) -> None:
    tuning = {"seeds": {"first": 9, "count": 1}, "rates": [1e-4, 1e-3], "lengths": [2, 4]}
    arms = {"dpo": {"training": {"method": "dpo"}}, "grpo": {"trainer": "grpo", "lengths": [1, 2]}}
    plan = Plan.of(load_grid(grid_of(tmp_path, arms=arms, tuning=tuning)), tmp_path)
    assert [(c.name, c.length) for c in plan.tuning if c.rate == 1e-3] == [
        ("dpo", 2), ("dpo", 4), ("grpo", 1), ("grpo", 2)
    ]  # fmt: skip
    more = {**arms, "grpo": {"trainer": "grpo", "lengths": [1, 2, 4]}}
    with pytest.raises(ConfigError, match=r"arms.grpo.lengths: expected 2 lengths over 0, as many as tuning tries"):
        load_grid(grid_of(tmp_path, arms=more, tuning=tuning))


def test_a_teacher_that_is_not_there_is_named(tmp_path: Path) -> None:
    for name, message in (("stf", "teacher stf: expected sft, or a base such as steps-1"),
                          ("steps-large-0", "domain steps-large: no base 0 in")):  # fmt: skip
        grid = load_grid(grid_of(tmp_path, arms={"x": {"teacher": name}}))
        with pytest.raises(ConfigError, match=message):
            Plan.of(grid, tmp_path)
