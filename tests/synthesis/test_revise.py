import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from iterpref.clients import Ledger
from iterpref.clients.replay import ReplayClient
from iterpref.records import Attempt, Execution, FailingCase, Task, TestFile, Trajectory
from iterpref.store import Store
from iterpref.synthesis.revise import _question, pass_rates, revise_tests, revised_task, suspects

TESTS = "assert f(1) == 2\nassert f(2) == 5\nassert f(3) == 6\n"
FIXED = TESTS.replace("== 5", "== 4")
CASE = FailingCase(call="f(2)", got="4", expected="5")
YES = '{"contradicts": true, "reason": "two doubled is four"}'


def task(name: str = "t") -> Task:
    tests = (TestFile(path="t.py", content=TESTS),)
    return Task(task_id=name, prompt=f"{name}: double x.", tests=tests, style="assert", entry_point="f", reference="x")


def trajectory(name: str, programs: list[str], case: FailingCase | None, passed: bool = False) -> Trajectory:
    attempts = []
    for i, program in enumerate(programs):
        verdict = "passed" if passed and i == len(programs) - 1 else "failed"
        said = Execution(
            verdict=verdict, trust="oracle", isolation="zygote", failing_case=case if verdict == "failed" else None
        )
        attempts.append(Attempt(iteration=i, program=program, completion=program, execution=said))
    status = "passed" if passed else "unresolved"
    return Trajectory(trajectory_id=f"{name}:debugging", task_id=name, attempts=tuple(attempts), status=status)


def put(store: Store, found: Trajectory) -> None:
    for attempt in found.attempts:
        key = f"{found.trajectory_id}{attempt.iteration}"
        store.put_execution(key, attempt.execution)
        store.put_attempt(found.trajectory_id, found.task_id, attempt, key)
    store.put_trajectory(found)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "run") as opened:
        opened.put_tasks([task("alike"), task("same"), task("solved"), task("raises")])
        put(opened, trajectory("alike", ["a", "b", "c"], CASE))
        put(opened, trajectory("same", ["a", "a", "a\n"], CASE))
        put(opened, trajectory("solved", ["a", "b", "c", "d"], CASE, passed=True))
        put(opened, trajectory("raises", ["a", "b", "c"], FailingCase(call="f(2)", got="", expected="5")))
        yield opened


def test_who_is_suspect(store: Store) -> None:
    assert [(t.task_id, case) for t, case in suspects(store)] == [("alike", CASE)]


def test_the_question_about_a_program_that_reads_and_prints() -> None:
    case = FailingCase(kind="input", call="3\n", got="6\n", expected="9\n")
    assert "For this input\n3\n\nthe programs printed\n6\n" in _question(task(), case)
    assert "f(2) returned 4, the tests expect 5.\n\nDoes this test" in _question(task(), CASE)


def test_a_contradiction_makes_a_new_task(store: Store, tmp_path: Path) -> None:
    question = [{"role": "user", "content": _question(task("alike"), CASE)}]
    reply = f'{YES}\n<file path="t.py">\n{FIXED}</file>'
    (tmp_path / "r.jsonl").write_text(json.dumps({"messages": question, "completions": [reply]}))
    ledger = Ledger(ReplayClient(tmp_path / "r.jsonl"), store)
    progress = asyncio.run(revise_tests(store, ledger))
    assert (progress.suspects, progress.contradictions, progress.revised, progress.unusable) == (1, 1, 1, 0)
    assert store.task("alike") == task("alike")
    made = list(store.tasks())[-1]
    assert made.task_id.startswith("alike~")
    assert (made.parent_task_id, made.tests[0].content, made.reference) == ("alike", FIXED, None)
    assert made.tests_hash != task("alike").tests_hash
    asyncio.run(revise_tests(store, ledger))
    assert store.count("tasks") == 5
    assert pass_rates(store) == {"tasks": 4, "pass_rate": 0.25, "pass_rate_with_revisions": 0.25}
    put(store, trajectory(made.task_id, ["a"], None, passed=True))
    assert pass_rates(store) == {"tasks": 4, "pass_rate": 0.25, "pass_rate_with_revisions": 0.5}


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("", id="emptied"),
        pytest.param(TESTS, id="unchanged"),
        pytest.param("assert f(1) == 2\nassert f(3) == 6\n", id="test removed"),
        pytest.param("assert f(1) == 2\nassert f(2) == 4\nassert f(3) == 7\n", id="another test changed too"),
        pytest.param("assert f(1) == 2\nassert f(2", id="not Python"),
    ],
)
def test_a_correction_that_is_none(content: str) -> None:
    assert revised_task(task(), f'{YES}\n<file path="t.py">\n{content}</file>') is None


def test_another_file_is_no_correction() -> None:
    assert revised_task(task(), f'{YES}\n<file path="other.py">\n{FIXED}</file>') is None
    made = revised_task(task(), f'{YES}\n<file path="t.py">\n{FIXED}</file>')
    assert made is not None
    assert made.tests[0].content == FIXED
