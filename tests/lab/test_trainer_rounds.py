"""Trainings in several phases: each begins where the one before it ended, and the sums are those of the parts."""

import json
from pathlib import Path

import pytest
from benchmarks.lab.trainers.composed import (
    MixtureSettings,
    StagesSettings,
    spent_by_task,
    train_in_stages,
    train_mixture,
)
from benchmarks.lab.trainers.rounds import RoundsSettings, train_rounds
from benchmarks.lab.trainers.runs import opened, spent

from iterpref import pipeline
from iterpref.errors import ConfigError
from iterpref.playground.coder import coder_path
from iterpref.run_folder import TRAINING_RUN
from iterpref.store import Store

from .tiny import differs_from_the_coder, tiny_run, tiny_tasks

TASKS = tiny_tasks(12)


def begun_with(model: str) -> str:
    """The model that a training of the package began with."""
    return json.loads((Path(model) / TRAINING_RUN).read_text())["model"]


@pytest.fixture(scope="module")
def debugged(tmp_path_factory: pytest.TempPathFactory):
    """Pairs of the tasks' debugging, and what each took."""
    folder = tmp_path_factory.mktemp("debugged")
    with opened(folder, tiny_run().config(coder_path(), 0), TASKS) as run:
        pipeline.debug(run)
        pipeline.pair(run)
        made = spent_by_task(run.store)
        assert sum(one.programs for one in made.values()) == spent(run.store, "debugging").programs
        assert sum(one.completion_tokens for one in made.values()) == spent(run.store, "debugging").completion_tokens
        return list(run.store.pairs(kept=True)), made


def test_rounds_debug_with_the_model_of_the_round_before(tmp_path: Path) -> None:
    scored: list[str] = []

    def score(model: Path) -> float:
        scored.append(str(model))
        return len(scored) / 10

    settings = RoundsSettings(2, programs=40, run=tiny_run())
    summary = train_rounds(coder_path(), TASKS, settings, 0, tmp_path / "rounds", score)
    first, second = summary.parts
    assert begun_with(first.model) == str(coder_path())
    assert begun_with(second.model) == first.model
    with Store.open(tmp_path / "rounds" / "round-2", write=False) as store:
        clients = {trajectory.client for trajectory in store.trajectories()}
        later = [task.task_id for task in store.tasks()]
    with Store.open(tmp_path / "rounds" / "round-1", write=False) as store:
        assert clients.isdisjoint(trajectory.client for trajectory in store.trajectories())
        assert first.spent.programs == sum(len(t.attempts) for t in store.trajectories())
        earlier = [task.task_id for task in store.tasks()]
    ids = [task.task_id for task in TASKS]
    assert (earlier + later)[: len(ids)] == ids, "the second goes on where the first stopped"
    assert first.spent.programs <= 20, "a round's share"
    assert 40 - 3 < summary.spent.programs == first.spent.programs + second.spent.programs <= 40
    assert summary.steps == first.steps + second.steps == 4
    assert scored == [str(coder_path()), first.model, second.model]
    assert (first.facts["before"], first.facts["after"], second.facts["before"]) == (0.1, 0.2, 0.2)
    assert second.facts["gain_per_program"] == pytest.approx(0.1 / second.spent.programs, abs=1e-8)
    assert summary.seconds > 0
    assert differs_from_the_coder(Path(summary.model))


def test_a_share_that_may_not_pay_for_a_task_is_refused(tmp_path: Path) -> None:
    """A task may take three programs, and two rounds have five."""
    with pytest.raises(ConfigError, match="a round's share is 2 programs, and one task may take 3"):
        train_rounds(coder_path(), TASKS, RoundsSettings(2, 5, tiny_run()), 0, tmp_path / "rounds")


def test_a_killed_round_goes_on_within_its_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = train_rounds(coder_path(), TASKS, RoundsSettings(1, 30, tiny_run()), 0, tmp_path / "whole")
    debug, done = pipeline.debug, []

    def second_is_cut(run):
        if done:
            raise KeyboardInterrupt
        done.append(debug(run))

    with monkeypatch.context() as cut:
        cut.setattr(pipeline, "debug", second_is_cut)
        with pytest.raises(KeyboardInterrupt):
            train_rounds(coder_path(), TASKS, RoundsSettings(1, 30, tiny_run()), 0, tmp_path / "cut")
    again = train_rounds(coder_path(), TASKS, RoundsSettings(1, 30, tiny_run()), 0, tmp_path / "cut")
    assert again.resumed and again.spent == whole.spent


def test_a_round_without_a_pair_leaves_the_model(tmp_path: Path) -> None:
    """No repair is made, so that nothing can be paired."""
    run = tiny_run()
    run.debugging["max_iterations"] = 0  # type: ignore[index]
    summary = train_rounds(coder_path(), TASKS[:2], RoundsSettings(1, run=run), 0, tmp_path / "rounds")
    assert (summary.model, summary.rows, summary.steps) == (str(coder_path()), 0, 0)
    assert summary.spent.programs == 2


def test_the_reference_of_a_stage_is_the_model_of_the_one_before(tmp_path: Path, debugged) -> None:
    pairs, _ = debugged
    summary = train_in_stages(coder_path(), pairs, StagesSettings(run=tiny_run()), 0, tmp_path / "stages")
    sft, target = summary.parts
    assert (sft.trainer, target.trainer) == ("sft", "target_dpo")
    assert begun_with(sft.model) == str(coder_path())
    assert begun_with(target.model) == sft.model
    assert summary.spent.programs == 0
    assert summary.steps == 4
    log = json.loads((Path(target.model) / "training_log.json").read_text())
    margin = next(entry["rewards/margins"] for entry in log if "rewards/margins" in entry)
    assert margin == pytest.approx(0.0, abs=1e-4), "the first step's policy is its reference"
    assert differs_from_the_coder(Path(summary.model))


def test_a_mixture_keeps_to_its_budget(tmp_path: Path, debugged) -> None:
    pairs, made = debugged
    budget = 40
    settings = MixtureSettings(budget, grpo={"group": 2, "prompts": 4, "max_tokens": 64}, run=tiny_run())
    summary = train_mixture(coder_path(), TASKS, pairs, made, settings, 0, tmp_path / "mixture")
    focal, grpo = summary.parts
    assert (focal.trainer, grpo.trainer) == ("target_rpo", "grpo")
    assert focal.spent.programs <= budget // 2
    assert budget - 8 < summary.spent.programs <= budget
    assert summary.spent.programs == focal.spent.programs + grpo.spent.programs
    assert summary.model == grpo.model
    assert differs_from_the_coder(Path(summary.model))
