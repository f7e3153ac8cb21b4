"""The diagnostic on a real model, sandbox and store: shares, resuming, what can't be diagnosed, and the filter."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from iterpref import pipeline
from iterpref.analysis.diagnosis import summary_of
from iterpref.config.load import parse_config
from iterpref.diagnosis import DiagnosisProgress
from iterpref.errors import ClientError, ConfigError, StoreError
from iterpref.opened_run import OpenedRun
from iterpref.playground.coder import coder_path
from iterpref.playground.tasks import playground_tasks
from iterpref.programs import fenced
from iterpref.records import ImportedPair, PairDiagnosis, as_messages
from iterpref.store import Store
from iterpref.viewer.report import render_report


def shares(done: DiagnosisProgress) -> dict[str, float]:
    return {row["place"]: row["pass_rate"] for row in summary_of(done.found)["places"]}


def by_pair(store: Store) -> dict[str, PairDiagnosis]:
    return {found.pair_id: found for found in store.diagnoses()}


def test_the_fault_is_in_the_wrong_lines(run: Path, diagnose: Any) -> None:
    """What was planted: the coder goes on from right lines and from wrong ones as they are."""
    done = diagnose()
    found = shares(done)
    assert found["after_added"] >= 0.6
    assert found["after_removed"] <= 0.2
    assert found["after_removed"] <= found["before_removed"] <= found["after_added"]
    with Store.open(run, write=False) as store:
        assert set(by_pair(store)) == {pair.pair_id for pair in store.pairs(kept=True)}
        page = render_report(store)
    assert "rejected, after D⁻&#39;s first hunk" in page
    held = summary_of(done.found)["fault_in_removed"]
    assert f"In {held} of {done.total} pairs D⁻ holds the fault" in page


def test_again_costs_nothing_and_more_continuations_only_themselves(run: Path, diagnose: Any) -> None:
    sampled = {"samples": 2, "sampling": {"max_tokens": 96}, "pairs": 3}
    diagnose(diagnosis=sampled)
    with Store.open(run) as store:
        calls = store.count("calls")
        assert diagnose(store, sampled).known == 3
        assert store.count("calls") == calls
        diagnose(store, sampled | {"samples": 3})
        texts = {place for found in store.diagnoses() for place in found.places if place.run == 3}
        assert texts and store.count("calls") <= calls + 3 * 5, "the first two draws were there"
        assert store.diagnosis(next(store.pairs(kept=True))).places[0].run == 3  # type: ignore[union-attr]


def start(run: Path, *more: str) -> subprocess.Popen[str]:
    settings = ("diagnosis.samples=2", "diagnosis.sampling.max_tokens=96", "client.batch_size=4", *more)
    line = [sys.executable, "-m", "iterpref", "diagnose", "--run", str(run)]
    line += [part for setting in settings for part in ("--set", setting)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
                            start_new_session=True)  # fmt: skip


def calls_of(run: Path) -> int:
    with suppress(sqlite3.OperationalError), closing(sqlite3.connect(run / "run.sqlite", timeout=60)) as database:
        return int(database.execute("SELECT count(*) FROM calls").fetchone()[0])
    return 0


@pytest.mark.slow
def test_a_kill_costs_no_call_twice(run: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(run, tmp_path / "undisturbed"))
    before = calls_of(run)
    killed = start(run)
    deadline = time.monotonic() + 500
    while calls_of(run) < before + 6:
        assert killed.poll() is None, killed.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    kept = calls_of(run)
    for folder in (run, other):
        whole = start(folder)
        _, errors = whole.communicate(timeout=500)
        assert whole.returncode == 0, errors
    with Store.open(run, write=False) as store, Store.open(other, write=False) as undisturbed:
        assert by_pair(store) == by_pair(undisturbed) != {}
        assert kept < store.count("calls") == undisturbed.count("calls")


def test_what_can_not_be_diagnosed_is_counted(run: Path, diagnose: Any) -> None:
    """An imported pair is diagnosed by the tests of a task of its id; without one it is skipped."""
    [task] = playground_tasks("train", 1)
    right = "def solve(xs):\n    return xs"
    with Store.open(run) as store:
        store.put_imported_pairs(
            ImportedPair(
                pair_id=name,
                task_id=task_id,
                prompt=as_messages(task.prompt),
                chosen=right,
                rejected=right.replace("return xs", f"return '{name}'"),
            )
            for name, task_id in (("without", "own/1"), ("with", task.task_id))
        )
        pipeline.pair(OpenedRun(store, parse_config({"sandbox": {"workers": 1}})))
        done = diagnose(store)
        assert dict(done.skipped) == {"no task of this id, so no tests": 1}
        assert {"with", "without"} & set(by_pair(store)) == {"with"}
        assert done.failed == 0


def test_pairs_whose_fault_is_elsewhere_can_be_dropped(run: Path, diagnose: Any) -> None:
    def kept(store: Store, **pairing: Any) -> set[str]:
        pipeline.pair(OpenedRun(store, parse_config({"pairing": pairing})))
        return {pair.pair_id for pair in store.pairs(kept=True)}

    with Store.open(run) as store:
        everything = kept(store)
        assert kept(store, diagnosed=0.5) == set()
        reasons = {pair.filters[-1].reason for pair in store.pairs()}
        assert "not diagnosed; run iterpref diagnose (without tests of its task a pair can't be)" in reasons
        diagnose(store)  # pairs that only want a diagnosis are diagnosed
        held = {pair_id for pair_id, found in by_pair(store).items() if (found.fall or 0) >= 0.5}
        assert kept(store, diagnosed=0.5) == held
        assert kept(store) == everything


def test_greedy_continuations_are_all_equal(diagnose: Any) -> None:
    with pytest.raises(ConfigError, match=r"diagnosis\.samples is 5 at temperature 0, where all"):
        diagnose(diagnosis={"sampling": {"temperature": 0}})


def test_no_pairs(tmp_path: Path, diagnose: Any) -> None:
    with Store.open(tmp_path / "empty") as store, pytest.raises(StoreError, match="no kept pairs to diagnose"):
        diagnose(store)


def test_a_model_without_a_chat_template_is_asked_nothing(run: Path, tmp_path: Path, diagnose: Any) -> None:
    folder = tmp_path / "base"
    shutil.copytree(coder_path(), folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = None
    tokenizer.save_pretrained(folder)
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    before = calls_of(run)
    with pytest.raises(ClientError, match="its tokenizer has no chat template"):
        diagnose(model=str(folder))
    assert calls_of(run) == before


def test_a_database_of_before_can_be_read(run: Path) -> None:
    with closing(sqlite3.connect(run / "run.sqlite")) as database:
        database.executescript("DROP TABLE diagnoses; PRAGMA user_version = 3;")
    with Store.open(run, write=False) as store:
        assert list(store.diagnoses()) == []
        assert "No pair was diagnosed" in render_report(store)
    with Store.open(run) as store:
        assert store.diagnosis(next(store.pairs())) is None


def test_an_edited_pair_has_no_diagnosis(run: Path, diagnose: Any) -> None:
    with Store.open(run) as store:
        diagnose(store, {"samples": 1, "sampling": {"temperature": 0, "max_tokens": 96}, "pairs": 1})
        pair = next(pair for pair in store.pairs(kept=True))
        assert store.diagnosis(pair) is not None
        assert store.diagnosis(pair.model_copy(update={"chosen": fenced("def solve(xs):\n    return 0")})) is None
