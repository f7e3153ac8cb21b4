"""One seed's data: made once, the same for all arms; and the sets of pairs that are made of it."""

from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from benchmarks.lab.domains import DOMAINS
from benchmarks.lab.grid import Arm
from benchmarks.lab.kto import labelled, train_kto
from benchmarks.lab.seeds import SeedData, SeedPlan
from benchmarks.lab.trainers.runs import TRAINING
from benchmarks.lab.training import Training

from iterpref.errors import RecordError
from iterpref.pairing import PARQUET
from iterpref.playground.coder import coder_path
from iterpref.programs import fenced
from iterpref.records import as_messages

from .tiny import differs_from_the_coder, tiny_tasks

PLAN = SeedPlan("steps", 0, coder_path(), "weights", 3, 8, {"max_iterations": 2, "sampling": {"max_tokens": 96}})


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> SeedData:
    made = SeedData(PLAN, tmp_path_factory.mktemp("lab"))
    assert made.make("debugging")["calls"] >= 8
    assert made.make("sampling")["calls"] == 24  # all draws, also of solved tasks
    return made


def pairs_of(data: SeedData, **arm: object) -> list[dict]:
    return pq.read_table(data.pairs(Arm.model_validate(arm)) / PARQUET).to_pylist()


def test_it_is_made_once(data: SeedData) -> None:
    before = (data.folder / "run.sqlite").stat().st_mtime_ns
    again = data.make("debugging")
    assert again == data.made("debugging") and again["hash"] != data.made("sampling")["hash"]
    assert len(again["passed"]) == 3
    pairs = data.pairs(Arm())
    made = (pairs / PARQUET).stat().st_mtime_ns
    assert data.pairs(Arm(training={"method": "dpo"})) == pairs and (pairs / PARQUET).stat().st_mtime_ns == made
    assert (data.folder / "run.sqlite").stat().st_mtime_ns == before


def test_swapped_pairs_are_the_same_the_wrong_way_round(data: SeedData) -> None:
    pairs, swapped = pairs_of(data), pairs_of(data, pairs="swapped")
    assert pairs and [(p["chosen"], p["rejected_spans"]) for p in pairs] == [
        (s["rejected"], s["chosen_spans"]) for s in swapped
    ]


def test_pairs_of_draws_are_cut_to_as_many(data: SeedData) -> None:
    all_, few = pairs_of(data, pairs="sampling"), pairs_of(data, pairs="sampling", as_many_as="debugging")
    assert {pair["origin"] for pair in all_} == {"sampling"}
    assert len(few) == min(len(all_), len(pairs_of(data)))
    assert {pair["pair_id"] for pair in few} <= {pair["pair_id"] for pair in all_}
    assert len(pairs_of(data, share=0.5)) == round(len(pairs_of(data)) / 2)


def test_sets_for_sft_hold_programs_that_pass(data: SeedData) -> None:
    references = pairs_of(data, pairs="references")
    tasks = DOMAINS["steps"].tasks("train", 8, 3)
    assert sorted(pair["task_id"] for pair in references) == sorted(task.task_id for task in tasks)
    by_id = {task.task_id: task.reference for task in tasks}
    assert all(by_id[pair["task_id"]] in pair["chosen"] for pair in references)
    passing = [(pair["task_id"], pair["chosen"]) for pair in pairs_of(data, pairs="passing")]
    assert passing and len(set(passing)) == len(passing)  # each program once
    chosen_of_pairs = {(pair["task_id"], pair["chosen"]) for pair in pairs_of(data, pairs="sampling")}
    assert chosen_of_pairs <= set(passing)


def test_rows_of_kto_are_each_program_once(data: SeedData) -> None:
    pairs = pairs_of(data, pairs="sampling")
    rows = labelled(pairs)
    assert {row["label"] for row in rows} == {True, False}
    wrong = {(pair["task_id"], pair["rejected"]) for pair in pairs}
    assert sum(not row["label"] for row in rows) == len(wrong)
    assert rows[0]["completion"][0]["role"] == "assistant"


def kto(data: SeedData, folder: Path, **arm: object) -> Training:
    chosen = Arm.model_validate({"trainer": "kto", "pairs": "sampling", **arm})
    settings = {**TRAINING, "per_device_train_batch_size": 4, "warmup_steps": 0}
    return Training(chosen, settings, 3e-4, 1, coder_path(), data, folder)


def test_kto_learns_right_and_wrong_programs(data: SeedData, tmp_path: Path) -> None:
    trained = train_kto(kto(data, tmp_path))
    rows = labelled(pairs_of(data, pairs="sampling"))
    assert trained.facts["pairs"] == len(rows) and trained.facts["steps"] == -(-len(rows) // 4)
    assert differs_from_the_coder(trained.model)


def test_kto_without_a_pair_says_so(data: SeedData, tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="no pairs to train on"):
        train_kto(kto(data, tmp_path, share=0.01))


def test_kto_reads_the_tokens_that_focal_training_reads(tmp_path: Path) -> None:
    from benchmarks.lab.trainers.trl_training import load, plain_arguments, quiet
    from datasets import Dataset
    from trl import KTOConfig, KTOTrainer

    from iterpref.training.encoding import encode_pair

    network, tokenizer = load(coder_path())
    texts = [(task.prompt, fenced(task.reference)) for task in tiny_tasks(4)]
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


def test_a_held_out_task_is_never_trained_on() -> None:
    splits = [{task.origin for task in DOMAINS["steps"].tasks(split, 40, 3)} for split in
              ("train", "validation", "held_out")]  # fmt: skip
    assert not (splits[0] & splits[1] or splits[0] & splits[2] or splits[1] & splits[2])


@pytest.mark.parametrize("field", ["seed", "weights", "tasks", "debugging"])
def test_other_data_is_kept_apart(field: str, tmp_path: Path) -> None:
    other = {"seed": 4, "weights": "others", "tasks": 9, "debugging": {"max_iterations": 3}}[field]
    changed = replace(PLAN, **{field: other})
    assert SeedData(changed, tmp_path).folder != SeedData(PLAN, tmp_path).folder
