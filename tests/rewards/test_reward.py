"""Rewards of completions, with the real sandbox."""

import json
import time
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from iterpref.errors import ConfigError, RecordError
from iterpref.records import Execution, Limits
from iterpref.rewards import CodeReward
from iterpref.sandbox import Job, Sandbox

DOUBLE = "```python\ndef double(x):\n    return 2 * x\n```"
TRIPLE = "```python\ndef double(x):\n    return 3 * x\n```"
ENDLESS = "```python\ndef double(x):\n    while True: pass\n```"
TESTS = ["assert double(2) == 4", "assert double(0) == 0"]
TABLE = [{"path": "calls.jsonl", "content": '{"args": "(2,)", "expected": "4"}\n'}]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(workers=2) as made:
        yield made


def rewards(sandbox: Any, *completions: Any, row: dict[str, Any] | None = None, **settings: Any) -> list[float | None]:
    rows = [{"tests": TESTS} if row is None else row] * len(completions)
    return CodeReward(sandbox=sandbox, **settings).score(completions, rows)


def test_passing_failing_and_no_program(sandbox: Sandbox) -> None:
    assert rewards(sandbox, DOUBLE, TRIPLE, "I would multiply it by two.", "def double(x:") == [1.0, 0.0, 0.0, 0.0]


def test_partial_credit_is_the_share_of_tests(sandbox: Sandbox) -> None:
    assert rewards(sandbox, DOUBLE, TRIPLE, ENDLESS, partial=True, limits=Limits(cpu_s=0.5)) == [1.0, 0.5, 0.0]


def test_messages_count_by_their_last_one(sandbox: Sandbox) -> None:
    chat = [{"role": "assistant", "content": TRIPLE}, {"role": "assistant", "content": DOUBLE}]
    assert rewards(sandbox, chat) == [1.0]


@pytest.mark.parametrize(
    ("row", "settings"),
    [
        ({"test_list": TESTS}, {}),
        ({"test": "def check(f):\n    assert f(2) == 4\n", "entry_point": "double"}, {}),
        ({"test_cases": json.dumps(TESTS)}, {}),
        ({"tests": "def test_it():\n    assert double(2) == 4\n\ntest_it()\n", "style": "x"}, {"style": "assert"}),
        ({"checks": "assert double(2) == 4"}, {"columns": {"tests": "checks"}}),
        ({"tests": [{"path": "t.py", "content": "assert double(2) == 4"}]}, {}),
        ({"tests": None, "test_list": TESTS}, {}),
        (
            {
                "tests": [{"path": "calls.jsonl", "content": '{"args": "(2,)", "expected": "4"}\n'}],
                "entry_point": "double",
            },
            {},
        ),
        ({"tests": "def test_it():\n    assert double(2) == 4\n\ntest_it()\n", "style": "assert"}, {}),
    ],
)
def test_tests_in_the_forms_of_public_data_sets(
    sandbox: Sandbox, row: dict[str, Any], settings: dict[str, Any]
) -> None:
    assert rewards(sandbox, DOUBLE, TRIPLE, row=row, **settings) == [1.0, 0.0]


def test_programs_that_read_standard_input(sandbox: Sandbox) -> None:
    row = {"tests": {"inputs": ["2\n", "3\n"], "outputs": ["4\n", "6\n"]}}
    right, half = "```python\nprint(2 * int(input()))\n```", "```python\nprint(4)\n```"
    assert rewards(sandbox, right, half, row=row, partial=True) == [1.0, 0.5]


def test_a_late_run_is_none_and_the_batch_is_answered_at_its_deadline(sandbox: Sandbox) -> None:
    reward = CodeReward(sandbox=sandbox, deadline_s=1.5, limits=Limits(cpu_s=4.0, wall_s=4.0))
    began = time.monotonic()
    found = reward.score([DOUBLE, *[ENDLESS] * 6], [{"tests": TESTS}] * 7)
    assert time.monotonic() - began < 3.0
    assert found[0] == 1.0 and found[-1] is None
    assert reward.metrics.late == found.count(None) == reward.metrics.no_verdict > 0
    assert reward.score([DOUBLE, TRIPLE], [{"tests": TESTS}] * 2) != [0.0, 1.0], "a later batch gets its own answers"


def test_endless_programs_keep_no_others_from_their_verdict(sandbox: Sandbox) -> None:
    """Eight of 4 s on two workers are 16 s, and come before all others; these have their verdict in five."""
    reward = CodeReward(sandbox=sandbox, deadline_s=5.0, limits=Limits(cpu_s=4.0, wall_s=4.0))
    found = reward.score([*[ENDLESS] * 8, *[DOUBLE] * 8], [{"tests": TESTS}] * 16)
    assert found[8:] == [1.0] * 8 and None in found[:8]


def test_a_program_that_needs_most_of_its_time_passes(sandbox: Sandbox) -> None:
    slow = "```python\nimport time\ndef double(x):\n    time.sleep(0.5 * (x == 2))\n    return 2 * x\n```"
    assert rewards(sandbox, slow, limits=Limits(cpu_s=2.0, wall_s=2.0)) == [1.0]


def test_a_pass_that_games_its_tests_earns_nothing(sandbox: Sandbox) -> None:
    class_of_its_own = (
        "```python\nclass Same:\n    def __eq__(self, other): return True\n\ndef double(x):\n    return Same()\n```"
    )
    ends_early = "```python\nimport os\ndef double(x):\n    os._exit(0)\n```"
    for partial in (False, True):
        assert rewards(sandbox, class_of_its_own, ends_early, partial=partial) == [0.0, 0.0]


class Broken:
    """A sandbox whose workers can't be replaced any more."""

    workers = 1

    def run(self, job: Job, *, retry_timeout: bool) -> Execution:
        said = {"verdict": "sandbox_error", "error": "The sandbox failed three times"}
        return Execution(phase="none", trust="in_process", isolation="zygote", **said)


def test_a_broken_sandbox_says_nothing_about_a_program() -> None:
    reward = CodeReward(sandbox=Broken())
    with pytest.warns(RuntimeWarning, match="no reward: The sandbox failed three times .told once") as told:
        assert reward.score([DOUBLE, "No idea, sorry.", DOUBLE], [{"tests": TESTS}] * 3) == [None, 0.0, None]
    assert len(told) == 1
    assert (reward.metrics.no_verdict, reward.metrics.no_program) == (2, 1)


def test_bad_input_rows_without_tests(sandbox: Sandbox) -> None:
    with pytest.raises(RecordError, match=r"row 0: no tests: looked for the column tests or test_list .* got prompt"):
        rewards(sandbox, DOUBLE, row={"prompt": "Double it."})
    with pytest.raises(RecordError, match="looked for the column checks, got tests"):
        rewards(sandbox, DOUBLE, columns={"tests": "checks"})
    with pytest.raises(RecordError, match="row 0: no test found in its tests"):
        rewards(sandbox, DOUBLE, row={"tests": "expected = {2: 4}"})
    table = [{"path": "calls.jsonl", "content": '{"args": [2], "expected": 4}\n'}]
    with pytest.raises(RecordError, match=r"args is list; expected the keys .* each the text of a Python literal"):
        rewards(sandbox, DOUBLE, row={"tests": table, "entry_point": "double"})
    with pytest.raises(ConfigError, match="tasks have no test"):
        rewards(sandbox, DOUBLE, columns={"test": "tests"})


def test_bad_input_one_row_of_many_is_none_and_told_once(sandbox: Sandbox) -> None:
    reward = CodeReward(sandbox=sandbox)
    assert reward.score([DOUBLE], [{"tests": TESTS}]) == [1.0]
    with pytest.warns(RuntimeWarning, match="no reward: row 1: no tests") as told:
        assert reward.score([DOUBLE] * 3, [{"tests": TESTS}, {}, {"tests": 3}]) == [1.0, None, None]
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert reward.score([DOUBLE], [{}]) == [None]
    assert reward.metrics.unusable_rows == 3


@pytest.mark.parametrize("completion", [None, 3, b"def double(x): return 2 * x", {"text": DOUBLE}, []])
def test_bad_input_a_completion_that_is_no_text(sandbox: Sandbox, completion: Any) -> None:
    with pytest.raises(RecordError, match=r"completion 0: .*; expected text or chat messages"):
        rewards(sandbox, completion)


def test_bad_input_odd_programs_fail_by_themselves(sandbox: Sandbox) -> None:
    huge = "```python\ndef double(x):\n    return 3 * x\n" + "# " + "x" * 10_000_000 + "\n```"
    nul, surrogate = "```python\ndef double(x):\x00 return 2 * x\n```", "```python\ns = '\udc80'\n```"
    assert rewards(sandbox, huge, nul, surrogate, DOUBLE) == [0.0, 0.0, 0.0, 1.0]


def test_metrics_add_up(sandbox: Sandbox) -> None:
    reward = CodeReward(sandbox=sandbox, limits=Limits(cpu_s=0.5))
    reward.score([DOUBLE, TRIPLE, ENDLESS, "No idea, sorry."], [{"tests": TESTS}] * 4)
    before = reward.metrics.snapshot()
    reward.score([DOUBLE], [{"tests": TESTS}])
    assert {name: before[name] for name in ("batches", "rewards", "runs", "passed", "timeouts", "no_program")} == {
        "batches": 1, "rewards": 4, "runs": 3, "passed": 1, "timeouts": 1, "no_program": 1,
    }  # fmt: skip
    assert (reward.metrics.snapshot() - before)["runs"] == 1
    assert before["second_runs"] == 1
    assert reward.metrics.run_s > 0.5 and reward.metrics.queue_s >= 0 and reward.metrics.batch_s > 0.5
