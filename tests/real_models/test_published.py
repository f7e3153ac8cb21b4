"""The published pairs: written without their prompts, and whole again from MBPP's file."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks.real_models.data import training_file
from benchmarks.real_models.diagnosis import diagnosis, goes_on
from benchmarks.real_models.lab import Lab
from benchmarks.real_models.pairs import TRAINING
from benchmarks.real_models.plan import FULL, Experiment
from benchmarks.real_models.published import DATA, take_published, with_published, write_pairs
from benchmarks.real_models.records import Records

from iterpref import pipeline
from iterpref.config import PairingConfig
from iterpref.errors import RecordError
from iterpref.pairing import focal_pair, write_dataset
from iterpref.records import ImportedPair, as_messages
from iterpref.run_folder import RunFolder
from iterpref.training.reading import read_pairs

from .small_data import write_data

SMALL = ("sandbox.min_isolation=rlimits", "diagnosis.sampling.max_tokens=24")


def lab(work: Path, mbpp: str) -> Lab:
    made = Lab(Experiment("playground", None, mbpp, work, FULL), Records(work))
    made.records.claim(made.experiment)
    return made


@pytest.fixture
def mbpp(tmp_path: Path) -> str:
    return write_data(tmp_path / "data", 3)["ITERPREF_MBPP_FULL_PATH"]


def with_pairs(work: Path, mbpp: str) -> Lab:
    """A work folder with a pair for each task."""
    made = lab(work, mbpp)
    config = made.experiment.config("debug")
    with made.opened("debugging", config) as run:
        pipeline.import_source(run, str(training_file(made.experiment)), {})
        texts = [
            ImportedPair(pair_id=f"p{n}", task_id=task.task_id, prompt=as_messages(task.prompt), source="here",
                         chosen="def solve():\n    return 1\n", rejected=f"def solve():\n    return {n}é\n")
            for n, task in enumerate(run.store.tasks(), 2)
        ]  # fmt: skip
    pairs = [focal_pair(text, config.pairing) for text in texts]
    assert write_dataset(RunFolder(made.folder(TRAINING)).pairs, pairs) == 3
    return made


def test_they_come_back_as_they_were(tmp_path: Path, mbpp: str) -> None:
    first, file = with_pairs(tmp_path / "first", mbpp), tmp_path / "pairs.jsonl"
    write_pairs(first.experiment.work, file)
    assert all("prompt" not in json.loads(line) for line in file.read_text().splitlines())
    records = tmp_path / "records.json"
    records.write_text(json.dumps({"pairs": {"chosen": []}, "debugging": {}, "train-dpo-0.1": {}, "evaluate-base": {}}))
    second = lab(tmp_path / "second", mbpp)
    take_published(second, records, file)
    before, after = (read_pairs(RunFolder(made.folder(TRAINING)).pairs).to_list() for made in (first, second))
    assert after == before and len(after) == 3
    assert second.records.all().keys() == {"pairs", "debugging"}, "trainings and evaluations are run anew"
    second.records.put("pairs", {"own": True})
    take_published(second, records, file)
    assert second.records["pairs"] == {"own": True}, "a folder with pairs keeps its own"


def test_steps_that_were_not_run_anew_keep_their_published_records(tmp_path: Path) -> None:
    records = tmp_path / "records.json"
    records.write_text(
        json.dumps({"pairs": {"chosen": ["p"]}, "train-dpo-0.1": {"old": 1}, "evaluate-base": {"old": 1}})
    )
    anew = {"pairs": {"chosen": ["p"]}, "train-dpo-0.1": {"new": 1}}
    assert with_published(anew, records) == anew | {"evaluate-base": {"old": 1}}
    others = {"pairs": {"chosen": ["q"]}}
    assert with_published(others, records) == others
    assert with_published({}, records) == {}


def test_the_pairs_are_continued_by_the_model(tmp_path: Path, mbpp: str) -> None:
    """The playground's coder knows nothing of these tasks: what it writes is run, and fails."""
    made = with_pairs(tmp_path / "work", mbpp)
    ids = [row["pair_id"] for row in read_pairs(RunFolder(made.folder(TRAINING)).pairs).to_list()]
    made.records.put("pairs", {"chosen": [[ids[0], "debugging"], [ids[1], "sampling"], [ids[2], "sampling"]]})
    made = replace(made, experiment=replace(made.experiment, settings=SMALL))
    found = diagnosis(made)
    chosen = made.records["pairs"]["chosen"]
    assert [[row["pair"], row["origin"]] for row in found["pairs"]] == chosen and not found["failed"]
    assert all(row["after_added"] == row["after_removed"] == 0 for row in found["pairs"])
    assert not any(row["goes_on"] for row in found["pairs"]), "`return` is the last line of each"


@pytest.mark.parametrize(
    ("rejected", "more"),
    [("```python\na = 2\nb = 1\n```", True), ("a = 2\n\n", False), ("```python\na = 2\n```\nDone.", False)],
)
def test_whether_lines_follow_the_wrong_ones(rejected: str, more: bool) -> None:
    text = ImportedPair(pair_id="p", task_id="t", prompt=as_messages("Write."), source="here",
                        chosen=rejected.replace("2", "1"), rejected=rejected)  # fmt: skip
    assert goes_on(focal_pair(text, PairingConfig())) is more


def test_bad_input_other_tasks_than_the_pairs_were_made_of(tmp_path: Path, mbpp: str) -> None:
    first, file = with_pairs(tmp_path / "first", mbpp), tmp_path / "pairs.jsonl"
    write_pairs(first.experiment.work, file)
    other = tmp_path / "other.jsonl"
    other.write_text(Path(mbpp).read_text().replace('"text": "', '"text": "Please: '))
    second = lab(tmp_path / "second", str(other))
    with pytest.raises(RecordError, match=r"pair p2: got a task .* expected MBPP as its authors publish it, not /"):
        take_published(second, DATA, file)
    assert not second.records.all()
