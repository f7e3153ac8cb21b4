"""A run folder with pairs, as each stage would have left it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from iterpref.clients import Completion, Request
from iterpref.config import PairingConfig
from iterpref.pairing.pair import make_pairs
from iterpref.programs import fenced
from iterpref.records import Attempt, Execution, Message, Task, TestFile, TestQuality, Trajectory
from iterpref.store import Store

WRONG = "def f(x):\n    y = x + 1\n    return y"
RIGHT = "def f(x):\n    y = x * 2\n    return y"
TESTS = (TestFile(path="tests.py", content="assert f(3) == 6"),)


def attempt(iteration: int, program: str, passed: bool) -> Attempt:
    outcome = Execution(verdict="passed" if passed else "failed", trust="oracle", isolation="zygote")
    return Attempt(iteration=iteration, program=program, completion=fenced(program), execution=outcome)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "run") as store:
        for name in ("a", "b"):
            task = Task(task_id=name, prompt=f"{name}: double x.", tests=TESTS, style="assert", license="MIT")
            store.put_tasks([task])
            attempts = (attempt(0, WRONG, False), attempt(1, RIGHT.replace("y", name), True))
            for made in attempts:
                store.put_execution(f"{name}{made.iteration}", made.execution)
                store.put_attempt(f"{name}:debugging", name, made, f"{name}{made.iteration}")
                request = Request(messages=(Message(role="user", content=name),), sample_index=made.iteration)
                tokens = (10, 5)
                store.put_call(f"{name}{made.iteration}", "openai:m@host:1/v1", made.iteration, tokens, 0.25, request,
                               Completion(text=made.completion))  # fmt: skip
            trajectory = Trajectory(
                trajectory_id=f"{name}:debugging", task_id=name, attempts=attempts, status="passed", client="m"
            )
            store.put_trajectory(trajectory)
        quality = TestQuality(task_id="a", tests_hash="", program_hash="p", repeats=3, repeats_passed=3,
                              line_coverage=1.0, branch_coverage=0.5, mutants=4, mutants_killed=3)  # fmt: skip
        store.put_quality(quality)
        store.replace_pairs(list(make_pairs(store, PairingConfig(negatives="each"))))
        yield store
