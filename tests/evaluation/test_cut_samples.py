"""Samples whose reply was cut at `max_tokens`: where their program had not ended they are marked, and counted."""

import asyncio
import json
from pathlib import Path

import pytest

from iterpref.clients import Ledger
from iterpref.clients.replay import ReplayClient
from iterpref.config import Config, EvaluationConfig
from iterpref.evaluation import Benchmark, GeneratedAnswers, evaluate
from iterpref.evaluation.benchmarks.definition import PromptProtocol
from iterpref.evaluation.protocols import is_open
from iterpref.prompts.own import SHIPPED
from iterpref.records import Result, Task, TestFile, as_messages
from iterpref.sandbox import Sandbox
from iterpref.store import Store

TESTS = (TestFile(path="calls.jsonl", content='{"args": "(1,)", "expected": "2"}'),)
TASK = Task(task_id="t", prompt="Add one.", tests=TESTS, style="calls", entry_point="f")
WRONG, RIGHT = "def f(x):\n    return x", "def f(x):\n    return x + 1"


@pytest.mark.parametrize(
    ("protocol", "reply", "found"),
    [
        pytest.param("plain", f"```python\n{WRONG}\n```\nIt", False, id="plain, closed"),
        pytest.param("plain", f"```python\n{WRONG}", True, id="plain, not closed"),
        pytest.param("chat", f"{WRONG}\n```", False, id="the begun fence is closed"),
        pytest.param("chat", WRONG, True, id="the begun fence is not closed"),
        pytest.param("chat", f"Sure:\n```python\n{WRONG}\n```\nIt", False, id="begun anew, and closed"),
        pytest.param("chat", f"Sure:\n```python\n{WRONG}", True, id="begun anew, and not closed"),
        pytest.param("base", WRONG, True, id="a continuation has no end of its own"),
    ],
)
def test_where_a_program_had_ended(protocol: PromptProtocol, reply: str, found: bool) -> None:
    assert is_open(TASK, reply, protocol) == found


def test_failing_ones_are_counted_with_those_to_repairs(tmp_path: Path) -> None:
    first = {"completion": f"```python\n{WRONG}", "finish_reason": "length"}
    second = {"completion": "```python\ndef f(x):\n    return 0", "finish_reason": "length"}
    third = {"completion": f"```python\n{RIGHT}", "finish_reason": "length"}
    result = evaluated(tmp_path, first, second, third)
    [sample] = result.samples
    assert [sample.cut, *(repair.cut for repair in sample.repairs)] == [True, True, True]
    assert (result.cut_replies, sample.repairs[-1].execution.passed) == (2, True)
    whole = {"completion": f"```python\n{WRONG}\n```\nIt adds", "finish_reason": "length"}
    assert evaluated(tmp_path, whole).cut_replies == 0


def test_results_of_earlier_versions_are_read() -> None:
    sample = {"task_id": "t", "sample_index": 0, "completion": "", "program": "",
              "execution": {"verdict": "failed", "trust": "oracle", "isolation": "zygote"}}  # fmt: skip
    values = {"result_id": "r", "benchmark": "b", "model": "m", "dataset_hash": "d", "protocol": "p", "metrics": {}}
    assert Result.model_validate({**values, "samples": [sample]}).cut_replies == 0


def evaluated(folder: Path, *replies: dict[str, str]) -> Result:
    """The Result of one task that gets these replies, each but the first to a request for a repair."""
    turns = as_messages(TASK.prompt)
    told = [SHIPPED.repair_turns(WRONG, "", "f(1) returned 1, expected 2"),
            SHIPPED.repair_turns("def f(x):\n    return 0", "", "f(1) returned 0, expected 2")]  # fmt: skip
    asked = [turns, *((*turns, *more) for more in told)]
    lines = [
        json.dumps({"messages": [turn.model_dump() for turn in messages], **reply})
        for messages, reply in zip(asked, replies, strict=False)
    ]
    (recording := folder / "recording.jsonl").write_text("\n".join(lines))
    config = Config(evaluation=EvaluationConfig(repairs=len(replies) - 1))
    benchmark = Benchmark("own", [TASK])
    with Store.open(folder / f"{len(replies)}") as store, Sandbox(workers=1) as sandbox:
        answers = GeneratedAnswers(Ledger(ReplayClient(recording), store), benchmark, config)
        return asyncio.run(evaluate(benchmark, answers, config, sandbox=sandbox, store=store))
