"""Rewards of completions, with the real sandbox."""

import json
import multiprocessing
import os
import pickle
import time
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from iterpref.errors import ConfigError, RecordError, SandboxError
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


def test_the_share_of_tests_is_that_of_the_whole_time(sandbox: Sandbox) -> None:
    """The first case is wrong and gives the verdict; the others need more than an eighth of the time."""
    row = {"tests": {"inputs": ["1\n", "2\n", "3\n"], "outputs": ["0\n", "4\n", "6\n"]}}
    slow = "```python\nimport time\nx = int(input())\ntime.sleep(0.6 * (x > 1))\nprint(2 * x)\n```"
    assert rewards(sandbox, slow, row=row, partial=True, limits=Limits(cpu_s=2.0, wall_s=2.0)) == [2 / 3]


def test_whatever_ends_a_batch_ends_its_runs(sandbox: Sandbox) -> None:
    reward = CodeReward(sandbox=sandbox, limits=Limits(cpu_s=1.0))
    assert reward.score([DOUBLE], [{"tests": TESTS}]) == [1.0]
    with pytest.raises(ValueError, match="shorter"):
        reward.score([ENDLESS] * 40, [{"tests": TESTS}] * 39)
    began = time.monotonic()
    assert reward.score([DOUBLE], [{"tests": TESTS}]) == [1.0]
    assert time.monotonic() - began < 10, "not after forty endless ones"


def test_blank_lines_and_spaces_without_end_are_read_at_once(sandbox: Sandbox) -> None:
    blank = "```python\nx = 1\n" + "\n" * 50_000 + "y = 2\ndef double(x): return 2 * x\n```"
    spaces = "```" + " " * 50_000 + "`x\n" + DOUBLE
    began = time.monotonic()
    assert rewards(sandbox, blank, spaces) == [1.0, 1.0]
    assert time.monotonic() - began < 10, "they took minutes"


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


def test_a_sandbox_that_refuses_ends_a_training_only_at_its_start() -> None:
    class Refusing(Broken):
        answers = True

        def run(self, job: Job, *, retry_timeout: bool) -> Execution:
            if self.answers:
                return Execution(verdict="passed", trust="oracle", isolation="zygote")
            raise SandboxError("service: 401: the token isn't right")

    sandbox = Refusing()
    reward = CodeReward(sandbox=sandbox)
    assert reward.score([DOUBLE], [{"tests": TESTS}]) == [1.0]
    sandbox.answers = False
    with pytest.warns(RuntimeWarning, match="no reward: service: 401"):
        assert reward.score([DOUBLE], [{"tests": TESTS}]) == [None]
    with pytest.raises(SandboxError, match="401"):
        CodeReward(sandbox=sandbox).score([DOUBLE], [{"tests": TESTS}])


def test_it_is_pickled_without_its_sandbox_and_used_in_forked_processes() -> None:
    reward = CodeReward(partial=True, limits=Limits(cpu_s=2.0))
    assert reward.score([TRIPLE], [{"tests": TESTS}]) == [0.5]
    again = pickle.loads(pickle.dumps(reward))
    assert again.score([TRIPLE], [{"tests": TESTS}]) == [0.5] and again.metrics.runs == 1
    with multiprocessing.get_context("fork").Pool(2) as pool:
        found = pool.map_async(_score, [reward, reward]).get(timeout=60)
    assert found == [[0.5], [0.5]]


def _score(reward: CodeReward) -> list[float | None]:
    return reward.score([TRIPLE], [{"tests": TESTS}])


def test_bad_input_a_sandbox_of_another_process(sandbox: Sandbox) -> None:
    reward = CodeReward(sandbox=sandbox)
    reads, writes = os.pipe()
    if os.fork() == 0:
        try:
            reward.score([DOUBLE], [{"tests": TESTS}])
        except SandboxError as error:
            os.write(writes, str(error).encode())
        finally:
            os._exit(0)
    os.wait()
    assert b"make the reward where it is used" in os.read(reads, 1000)


def test_bad_input_a_test_that_can_not_be_written(sandbox: Sandbox) -> None:
    with pytest.raises(RecordError, match=r"row 0: Value error, path 'nnn.*names of at most 255 bytes"):
        rewards(sandbox, DOUBLE, row={"tests": [{"path": "n" * 256, "content": "assert double(2) == 4"}]})


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


def test_answers_in_parts_and_without_text(sandbox: Sandbox) -> None:
    parts = [
        {"role": "assistant", "content": [{"type": "text", "text": DOUBLE[:20]}, {"type": "text", "text": DOUBLE[20:]}]}
    ]
    call = [{"role": "assistant", "content": None, "tool_calls": [{}]}]
    assert rewards(sandbox, parts, call) == [1.0, 0.0]


def test_bad_input_a_good_row_before_a_bad_one_in_the_first_batch(sandbox: Sandbox) -> None:
    with pytest.warns(RuntimeWarning, match="row 1: no tests"):
        assert CodeReward(sandbox=sandbox).score([DOUBLE] * 2, [{"tests": TESTS}, {}]) == [1.0, None]


def test_bad_input_text_that_is_none(sandbox: Sandbox) -> None:
    row = {"tests": {"inputs": ["\ud800\n"], "outputs": ["x"]}}
    assert rewards(sandbox, "```python\nprint(input())\n```", row=row) == [0.0]


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
