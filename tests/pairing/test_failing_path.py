"""`failing_path`: D⁻ cut down to the lines that ran in the failing call, by real runs in the sandbox."""

from collections.abc import Iterator

import pytest

from iterpref import pipeline
from iterpref.config import PairingConfig
from iterpref.config.load import parse_config
from iterpref.opened_run import OpenedRun
from iterpref.pairing.failing_path import FailingPath
from iterpref.pairing.pair import pairs_of
from iterpref.records import Attempt, Task, TestFile, Trajectory
from iterpref.sandbox import Job, Sandbox
from iterpref.store import Store

TESTS = "assert f(1) == 1\nassert f(-2) == 2\nassert f(0) == 0\n"
TASK = Task(
    task_id="t/1",
    prompt="The absolute value.",
    tests=(TestFile(path="t.py", content=TESTS),),
    style="assert",
    entry_point="f",
)
RIGHT = "def f(x):\n    if x < 0:\n        return -x\n    return x"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(workers=1, min_isolation="rlimits") as opened:
        yield opened


def attempts(sandbox: Sandbox, *programs: str, task: Task = TASK) -> Trajectory:
    made = tuple(
        Attempt(iteration=i, program=p, completion=p, execution=sandbox.run(Job.from_task(task, p)))
        for i, p in enumerate(programs)
    )
    assert [attempt.execution.passed for attempt in made] == [False] * (len(made) - 1) + [True]
    return Trajectory(
        trajectory_id="t/1:debugging", task_id="t/1", attempts=made, status="passed", client="m", origin="debugging"
    )


def removed(sandbox: Sandbox, wrong: str, right: str = RIGHT, task: Task = TASK, on_path: bool = True) -> list[str]:
    path = FailingPath(sandbox).lines if on_path else None
    runs = attempts(sandbox, wrong, right, task=task)
    [pair] = pairs_of(task, runs, PairingConfig(negatives="each"), path=path)
    return [pair.rejected[span.start : span.stop].strip() for span in pair.rejected_spans]


def test_lines_that_the_failing_call_left_out_are_not_wrong(sandbox: Sandbox) -> None:
    """f(1) passes and runs the last line, f(-2) fails without it."""
    wrong = "def f(x):\n    if x < 0:\n        return x\n    return x + 0"
    assert removed(sandbox, wrong, on_path=False) == ["return x", "return x + 0"]
    assert removed(sandbox, wrong) == ["return x"]


def test_an_exception(sandbox: Sandbox) -> None:
    wrong = "def g(x):\n    return x.real()\n\ndef f(x):\n    if x < 0:\n        return g(x)\n    return 1 * x"
    assert removed(sandbox, wrong, on_path=False) == ["def g(x):", "return x.real()", "", "return g(x)", "return 1 * x"]
    assert removed(sandbox, wrong) == ["def g(x):", "return x.real()", "return g(x)"]


def test_a_statement_of_several_lines_counts_whole(sandbox: Sandbox) -> None:
    wrong = "def f(x):\n    if x < 0:\n        return max(\n            x,\n            x,\n        )\n    return +x"
    assert removed(sandbox, wrong) == ["return max(", "x,", "x,", ")"]


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param("def f(x):\n    if x < 0\n        return x\n    return +x", id="a syntax error: nothing ran"),
        pytest.param("def f(x):\n    while x < 0:\n        pass\n    return +x", id="endless: ended by its limit"),
    ],
)
def test_where_the_path_is_not_known_all_stays(sandbox: Sandbox, wrong: str) -> None:
    quick = TASK.model_copy(update={"limits": TASK.limits.model_copy(update={"cpu_s": 0.5, "wall_s": 2.0})})
    assert removed(sandbox, wrong, task=quick) == removed(sandbox, wrong, task=quick, on_path=False)


def test_where_no_wrong_line_ran_all_stays(sandbox: Sandbox) -> None:
    wrong = "def f(x):\n    if x > 0:\n        return x + 0\n    return x"
    right = "def f(x):\n    if x > 0:\n        return x\n    if x < 0:\n        return -x\n    return x"
    assert removed(sandbox, wrong, right) == ["return x + 0"]


def test_programs_that_read_and_print(sandbox: Sandbox) -> None:
    """No call to repeat: all cases run, the failing one included."""
    tests = TestFile(path="tests.jsonl", content='{"stdin": "-2\\n", "stdout": "2\\n"}')
    task = TASK.model_copy(update={"style": "stdio", "tests": (tests,), "entry_point": None})
    wrong = "x = int(input())\nif x < 0:\n    print(x)\nelse:\n    print(x + 0)"
    right = "x = int(input())\nif x < 0:\n    print(-x)\nelse:\n    print(x * 1)"
    assert removed(sandbox, wrong, right, task) == ["print(x)"]


def test_the_verb(tmp_path) -> None:
    config = parse_config({"pairing": {"failing_path": True}, "sandbox": {"min_isolation": "rlimits", "workers": 1}})
    wrong = "def f(x):\n    if x < 0:\n        return x\n    return x + 0"
    with Store.open(tmp_path) as store, Sandbox(workers=1, min_isolation="rlimits") as sandbox:
        store.put_tasks([TASK])
        runs = attempts(sandbox, wrong, RIGHT)
        for attempt in runs.attempts:
            store.put_execution(str(attempt.iteration), attempt.execution)
            store.put_attempt(runs.trajectory_id, TASK.task_id, attempt, str(attempt.iteration))
        store.put_trajectory(runs)
        pipeline.pair(OpenedRun(store, config))
        [pair] = store.pairs()
    assert [pair.rejected[span.start : span.stop].strip() for span in pair.rejected_spans] == ["return x"]
