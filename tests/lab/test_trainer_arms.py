"""A finished arm is read, a cut one is not taken for finished, and another question is refused."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from benchmarks.lab.trainers.arm import FINISHED, ArmSummary, Asked, Clock, Spent, new_model, once
from benchmarks.lab.trainers.composed import MixtureSettings, StagesSettings, affordable
from benchmarks.lab.trainers.grpo import GrpoSettings
from benchmarks.lab.trainers.rounds import RoundsSettings
from benchmarks.lab.trainers.runs import RunSettings

from iterpref.errors import ConfigError
from iterpref.playground.coder import coder_path

from .tiny import tiny_tasks


@dataclass(frozen=True)
class Settings:
    programs: int = 4


TASKS = tiny_tasks(3)


def asked(settings: Settings | None = None, tasks: int = 3) -> Asked:
    return Asked("some", coder_path(), TASKS[:tasks], settings or Settings(), 0)


def summary(clock: Clock) -> ArmSummary:
    return ArmSummary(trainer="some", model="model", spent=Spent(programs=4))


def test_a_finished_arm_is_read_and_not_made_again(tmp_path: Path) -> None:
    first = once(asked(), tmp_path / "arm", summary)
    assert once(asked(), tmp_path / "arm", lambda clock: pytest.fail("made again")) == first
    assert not first.resumed


def test_a_cut_arm_is_not_finished_and_says_that_it_was_resumed(tmp_path: Path) -> None:
    def killed(clock: Clock) -> ArmSummary:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        once(asked(), tmp_path / "arm", killed)
    assert not (tmp_path / "arm" / FINISHED).exists()
    assert once(asked(), tmp_path / "arm", summary).resumed


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(asked(Settings(5)), id="settings"),
        pytest.param(asked(tasks=2), id="data"),
        pytest.param(Asked("some", coder_path(), TASKS, Settings(), 1), id="seed"),
        pytest.param(Asked("other", coder_path(), TASKS, Settings(), 0), id="trainer"),
    ],
)
def test_another_question_of_the_same_folder_is_refused(tmp_path: Path, other: Asked) -> None:
    once(asked(), tmp_path / "arm", summary)
    with pytest.raises(ConfigError, match=r"holds an arm of other settings, data or weights \(trainer some\)"):
        once(other, tmp_path / "arm", summary)


def test_without_tasks_nothing_is_begun(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no tasks or pairs"):
        once(asked(tasks=0), tmp_path / "arm", summary)
    assert not (tmp_path / "arm").exists()


def test_a_model_appears_whole_and_replaces_one_that_nobody_vouched_for(tmp_path: Path) -> None:
    with pytest.raises(OSError), new_model(tmp_path) as place:
        place.mkdir()
        raise OSError("the disk is full")
    assert not (tmp_path / "model").exists()
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "old").touch()
    with new_model(tmp_path) as place:
        place.mkdir()
        (place / "new").touch()
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["new"]


def test_the_clock_stands_still_while_paused() -> None:
    import time

    clock = Clock()
    with clock.paused():
        time.sleep(0.3)
    assert clock.taken["seconds"] < 0.25


@pytest.mark.parametrize(
    ("programs", "tasks", "plan"),
    [
        pytest.param(640, 300, (8, 10), id="as asked"),
        pytest.param(660, 300, (9, 9), id="648 instead of 640"),
        pytest.param(16, 300, (2, 1), id="fewer groups than prompts"),
        pytest.param(15, 300, (1, 1), id="less than two groups"),
        pytest.param(640, 3, (3, 26), id="fewer tasks than prompts"),
    ],
)
def test_batches_never_exceed_a_budget_of_programs(programs: int, tasks: int, plan: tuple[int, int]) -> None:
    assert GrpoSettings(programs=programs).plan(tasks) == plan


def test_no_budget_is_exceeded_and_little_of_a_large_one_is_left() -> None:
    for programs in range(8, 1500, 7):
        prompts, batches = GrpoSettings(programs=programs).plan(300)
        spent = 8 * prompts * batches
        assert spent <= programs
        assert spent > 0.9 * programs or programs < 200, (programs, spent)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(lambda: GrpoSettings(), "expected one of them, the budget", id="grpo: no budget"),
        pytest.param(lambda: GrpoSettings(programs=64, wall_s=3.0), "expected one of them", id="grpo: two budgets"),
        pytest.param(lambda: GrpoSettings(programs=7), "less than one group of 8", id="grpo: half a group"),
        pytest.param(lambda: GrpoSettings(programs=64, group=1), "group=1; expected 2 or more", id="grpo: no group"),
        pytest.param(lambda: GrpoSettings(wall_s=0.0), "more than 0", id="grpo: no time"),
        pytest.param(lambda: RoundsSettings(rounds=0), "expected 1 or more", id="rounds: none"),
        pytest.param(lambda: StagesSettings(stages=()), "there is none", id="stages: none"),
        pytest.param(lambda: MixtureSettings(64, grpo={"rate": 1.0}), r"grpo\.rate is unknown", id="mixture: key"),
        pytest.param(lambda: MixtureSettings(8), "less than one group", id="mixture: half a budget is no group"),
        pytest.param(
            lambda: RunSettings(debugging={"iterations": 3}).config(coder_path(), 0), "iterations", id="run: key"
        ),
    ],
)  # fmt: skip
def test_settings_that_can_t_be_are_refused(make, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()


def test_tasks_give_pairs_while_they_fit_into_the_budget() -> None:
    made = {task.task_id: Spent(programs=count) for task, count in zip(TASKS, (3, 2, 1), strict=True)}
    ids = [task.task_id for task in TASKS]
    assert affordable(TASKS, made, 5) == ids[:2]
    assert affordable(TASKS, made, 4) == ids[:1]
    assert affordable(TASKS, {}, 4) == []
