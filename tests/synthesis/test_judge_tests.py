import asyncio
import json
from pathlib import Path

import pytest

from iterpref.clients import Ledger
from iterpref.clients.replay import ReplayClient
from iterpref.config import PairingConfig
from iterpref.pairing.quality import QualityFilters
from iterpref.programs import fenced
from iterpref.records import PreferencePair, Task, TestFile, TestQuality, fingerprint
from iterpref.store import Store
from iterpref.synthesis.judge_tests import _question, judge_tests, read_scores

RIGHT = "def f(x):\n    return x * 2"


@pytest.mark.parametrize(
    ("reply", "scores"),
    [
        ('Fine.\n{"accuracy": 5, "effectiveness": 3, "reasonableness": 4}', (5, 3, 4)),
        ('{"accuracy": 5, "effectiveness": 3}', None),
        ('{"accuracy": 6, "effectiveness": 3, "reasonableness": 4}', None),
        ('{"accuracy": true, "effectiveness": 3, "reasonableness": 4}', None),
        ('{"accuracy": "5", "effectiveness": 3, "reasonableness": 4}', None),
        ("very good", None),
    ],
)
def test_scores(reply: str, scores: tuple[int, ...] | None) -> None:
    read = read_scores(reply)
    assert (tuple(read.values()) if read else None) == scores


def test_scores_are_stored_and_thresholds_use_them(tmp_path: Path) -> None:
    tests = (TestFile(path="t.py", content="assert f(2) == 4"),)
    task = Task(task_id="t", prompt="Double x.", tests=tests, style="assert", entry_point="f", reference=RIGHT)
    reply = '{"accuracy": 5, "effectiveness": 2, "reasonableness": 4}'
    recording = tmp_path / "judge.jsonl"
    question = [{"role": "user", "content": _question(task, RIGHT)}]
    recording.write_text(json.dumps({"messages": question, "completions": [reply]}))
    pair = PreferencePair(
        pair_id="p", task_id="t", prompt="Double x.", chosen=fenced(RIGHT), rejected=fenced("def f(x):\n    return x"),
        chosen_spans=(), rejected_spans=(), diff="lcs", diff_version=1, render_template="fenced_python",
    )  # fmt: skip

    def verdict(store: Store, **settings: int) -> tuple[bool, str]:
        [found] = QualityFilters(store, PairingConfig(**settings)).check(pair).filters
        return found.kept, found.reason

    with Store.open(tmp_path / "run") as store:
        store.put_tasks([task])
        measured = TestQuality(
            task_id="t", tests_hash=task.tests_hash, program_hash=fingerprint(RIGHT), repeats=1, repeats_passed=1
        )
        store.put_quality(measured)
        assert verdict(store, min_judge_score=3) == (False, "not judged; run iterpref judge --tests")
        progress = asyncio.run(judge_tests(store, Ledger(ReplayClient(recording), store)))
        assert (progress.judged, progress.without_scores) == (1, 0)
        assert verdict(store, min_judge_score=3) == (False, "judged effectiveness below 3")
        assert verdict(store, min_judge_score=2) == (True, "")
        assert asyncio.run(judge_tests(store, Ledger(ReplayClient(recording), store))).judged == 0
