"""Trainers on independent draws: exactly so many, the right rows, models that load, kills that cost nothing twice."""

from pathlib import Path

import pytest
from benchmarks.lab.trainers import rejection
from benchmarks.lab.trainers.arm import FINISHED
from benchmarks.lab.trainers.plum import (
    CodeOptimiseSettings,
    PlumSettings,
    labelled_rows,
    train_code_optimise,
    train_plum,
)
from benchmarks.lab.trainers.rejection import RejectionSettings, passing_rows, train_rejection

from iterpref.playground.coder import coder_path
from iterpref.programs import extract_program
from iterpref.records import as_messages
from iterpref.store import Store

from .tiny import differs_from_the_coder, tiny_run, tiny_tasks

TASKS = tiny_tasks(10)
PROGRAMS = 34  # four tasks four times, six tasks three times


def test_rejection_draws_to_the_budget_and_learns_what_passed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is killed between drawing and training first, and draws nothing again."""
    asked = (coder_path(), TASKS, RejectionSettings(PROGRAMS, tiny_run()), 0, tmp_path / "arm")

    def killed(store: Store):
        raise KeyboardInterrupt

    with monkeypatch.context() as cut:
        cut.setattr(rejection, "passing_rows", killed)
        with pytest.raises(KeyboardInterrupt):
            train_rejection(*asked)
    assert not (tmp_path / "arm" / FINISHED).exists()
    with Store.open(tmp_path / "arm" / "run", write=False) as store:
        last_call = store.last_call()
    summary = train_rejection(*asked)
    with Store.open(tmp_path / "arm" / "run", write=False) as store:
        draws = sorted(len(trajectory.attempts) for trajectory in store.trajectories("sampling"))
        rows, calls = list(passing_rows(store)), list(store.calls())
        assert store.last_call() == last_call
        passed = {a.program for t in store.trajectories() for a in t.attempts if a.execution.passed}
    assert draws == [3] * 6 + [4] * 4
    assert (summary.spent.programs, len(calls)) == (PROGRAMS, PROGRAMS)
    assert {extract_program(row.chosen, "solve") for row in rows} <= passed
    assert len({(row.task_id, row.chosen) for row in rows}) == len(rows) == summary.rows > 0
    assert summary.facts["solved"] == len({row.task_id for row in rows})
    assert summary.steps == 2
    assert differs_from_the_coder(Path(summary.model))


def test_plum_learns_right_and_wrong_programs(tmp_path: Path) -> None:
    settings = PlumSettings(PROGRAMS, num_train_epochs=1, per_device_train_batch_size=4, run=tiny_run())
    summary = train_plum(coder_path(), TASKS, settings, 0, tmp_path / "arm")
    with Store.open(tmp_path / "arm" / "run", write=False) as store:
        rows = list(labelled_rows(store))
        verdicts = {
            (str(store.task(t.task_id).prompt), a.program): a.execution.passed
            for t in store.trajectories()
            for a in t.attempts
        }
    for row in rows:
        program = extract_program(row["completion"][0]["content"], "solve")
        assert verdicts[row["prompt"][0]["content"], program] == row["label"]
    assert summary.spent.programs == PROGRAMS
    assert 0 < summary.facts["right"] < summary.rows == len(rows)
    assert summary.steps == -(-len(rows) // 4)
    assert differs_from_the_coder(Path(summary.model))


def test_kto_reads_the_tokens_that_focal_training_reads(tmp_path: Path) -> None:
    from benchmarks.lab.trainers.trl_training import load, plain_arguments, quiet
    from datasets import Dataset
    from trl import KTOConfig, KTOTrainer

    from iterpref.programs import fenced
    from iterpref.training.encoding import encode_pair

    network, tokenizer = load(coder_path())
    texts = [(task.prompt, fenced(task.reference)) for task in TASKS[:4]]
    rows = [
        {"prompt": [{"role": "user", "content": asked}], "completion": [{"role": "assistant", "content": answer}],
         "label": number % 2 == 0}
        for number, (asked, answer) in enumerate(texts)
    ]  # fmt: skip
    arguments = KTOConfig(**plain_arguments(tmp_path, 0), per_device_train_batch_size=4)
    with quiet(bars=False):
        trainer = KTOTrainer(network, args=arguments, train_dataset=Dataset.from_list(rows), processing_class=tokenizer)
    for row, raw in zip(trainer.train_dataset, rows, strict=True):
        answer = raw["completion"][0]["content"]
        ours = encode_pair(as_messages(raw["prompt"][0]["content"]), answer, answer, None, tokenizer)
        assert (row["prompt_ids"], row["completion_ids"]) == (list(ours.prompt_ids), list(ours.chosen_ids))


def test_code_optimise_pairs_passing_with_failing_draws(tmp_path: Path) -> None:
    settings = CodeOptimiseSettings(PROGRAMS, tiny_run(method="dpo"))
    summary = train_code_optimise(coder_path(), TASKS, settings, 0, tmp_path / "arm")
    with Store.open(tmp_path / "arm" / "run", write=False) as store:
        pairs = list(store.pairs(kept=True))
    assert summary.spent.programs == PROGRAMS
    assert len(pairs) == summary.facts["pairs"] == summary.rows > 0
    assert {pair.origin for pair in pairs} == {"sampling"}
    assert summary.steps == 2
    assert differs_from_the_coder(Path(summary.model))
