import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from iterpref.clients import Completion, Ledger, Request
from iterpref.clients.replay import ReplayClient
from iterpref.config import DebuggingConfig
from iterpref.config.load import parse_config
from iterpref.debugging.debug import DebugProgress, debug
from iterpref.debugging.debug_run import debug_tasks
from iterpref.debugging.debugger import Debugger
from iterpref.executor import Executor
from iterpref.opened_run import OpenedRun
from iterpref.programs import fenced
from iterpref.prompts import render
from iterpref.records import Task, TestFile
from iterpref.sandbox import Sandbox
from iterpref.store import Store

WRONG = "def f(x):\n    return x + 1"
WORSE = "def f(x):\n    return [x][2]"
RIGHT = "def f(x):\n    return x * 2"


def task(name: str) -> Task:
    tests = (TestFile(path="tests.py", content="assert f(1) == 2\nassert f(3) == 6"),)
    return Task(task_id=name, prompt=f"{name}: double x.", tests=tests, style="assert", entry_point="f")


def turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def attempt(task: Task, *programs: str) -> dict[str, object]:
    return {"messages": [turn("user", str(task.prompt))], "completions": [fenced(p) for p in programs]}


def repair(task: Task, shown: str, feedback: str, *replies: str) -> dict[str, object]:
    messages = [
        turn("user", str(task.prompt)),
        turn("assistant", fenced(shown)),
        turn("user", render("repair", feedback=feedback)),
    ]
    return {"messages": messages, "completions": list(replies)}


FIRST, STUCK, EASY = task("first"), task("stuck"), task("easy")
# f(3) is the first call that WRONG gets wrong: 1 + 1 == 2 passes.
WRONG_SAYS = "f(3) returned 4, expected 6"
WORSE_SAYS = "f(1) raised IndexError: list index out of range\n  line 2, in f: return [x][2]"
RECORDING = [
    attempt(FIRST, WRONG),
    repair(FIRST, WRONG, WRONG_SAYS, "unused", fenced(WORSE)),
    repair(FIRST, WORSE, WORSE_SAYS, "unused", "unused", f"The index is wrong.\n{fenced(RIGHT)}\nNow it works."),
    attempt(STUCK, WRONG),
    repair(STUCK, WRONG, WRONG_SAYS, "unused", fenced(WRONG), "I can't do better."),
    attempt(EASY, RIGHT),
]


class Counted(ReplayClient):
    """The replay client, counting what it is asked."""

    asked = 0

    async def complete(self, request: Request) -> Completion:
        self.asked += 1
        return await super().complete(request)


@pytest.fixture
def client(tmp_path: Path) -> Counted:
    path = tmp_path / "recording.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in RECORDING))
    return Counted(path)


def run(
    store: Store, client: ReplayClient, sandbox: Sandbox, tasks: Sequence[Task], **settings: object
) -> DebugProgress:
    store.put_tasks(tasks)
    config = DebuggingConfig(**{"max_iterations": 2, **settings})
    debugger = Debugger(Ledger(client, store), Executor(sandbox, store), store, config)
    return asyncio.run(debug(debugger, tasks, len(tasks)))


def test_repairs_until_the_tests_pass(store: Store, client: Counted, sandbox: Sandbox) -> None:
    progress = run(store, client, sandbox, [FIRST, STUCK, EASY])
    assert (progress.done, progress.passed, progress.failed_tools) == (3, [1, 0, 1], 0)
    assert progress.pass_rates == [1 / 3, 1 / 3, 2 / 3]
    easy, first, stuck = store.trajectories()
    assert [a.execution.verdict for a in first.attempts] == ["failed", "error", "passed"]
    assert [a.program for a in first.attempts] == [WRONG, WORSE, RIGHT]
    assert [a.feedback for a in first.attempts] == [WRONG_SAYS, WORSE_SAYS, None]
    assert first.status == "passed"
    assert (stuck.status, len(stuck.attempts)) == ("unresolved", 3)
    assert stuck.attempts[-1].execution.error_type == "NoProgram"
    assert [a.iteration for a in easy.attempts] == [0]


def test_a_second_run_costs_nothing(store: Store, client: Counted, sandbox: Sandbox) -> None:
    run(store, client, sandbox, [FIRST, STUCK, EASY])
    before, asked = list(store.trajectories()), client.asked
    again = run(store, client, sandbox, [FIRST, STUCK, EASY])
    assert again.passed == [1, 0, 1]
    assert (list(store.trajectories()), client.asked) == (before, asked)


def test_more_iterations_continue_an_unresolved_trajectory(store: Store, client: Counted, sandbox: Sandbox) -> None:
    run(store, client, sandbox, [FIRST], max_iterations=1)
    assert next(store.trajectories()).status == "unresolved"
    asked = client.asked
    run(store, client, sandbox, [FIRST], max_iterations=2)
    [trajectory] = store.trajectories()
    assert (trajectory.status, len(trajectory.attempts), client.asked) == ("passed", 3, asked + 1)
    assert [a.feedback for a in trajectory.attempts] == [WRONG_SAYS, WORSE_SAYS, None]


def test_a_model_that_cannot_answer_stops_one_task_only(store: Store, client: Counted, sandbox: Sandbox) -> None:
    unrecorded = task("unrecorded")
    progress = run(store, client, sandbox, [unrecorded, EASY])
    assert (progress.done, progress.failed_tools, sum(progress.passed)) == (2, 1, 1)
    assert "task unrecorded" in progress.errors[0]
    assert [t.task_id for t in store.trajectories()] == ["easy"]


def test_sampling_draws_independent_programs(store: Store, tmp_path: Path, sandbox: Sandbox) -> None:
    path = tmp_path / "samples.jsonl"
    path.write_text(json.dumps(attempt(FIRST, WRONG, WORSE, RIGHT)))
    progress = run(store, ReplayClient(path), sandbox, [FIRST], mode="sampling")
    assert progress.passed == [0, 0, 1]
    [trajectory] = store.trajectories("sampling")
    assert [a.feedback for a in trajectory.attempts] == [None, None, None]


def test_all_draws_are_made_also_after_a_pass(store: Store, tmp_path: Path, sandbox: Sandbox) -> None:
    path = tmp_path / "samples.jsonl"
    path.write_text(json.dumps(attempt(FIRST, WRONG, RIGHT, WORSE)))
    run(store, ReplayClient(path), sandbox, [FIRST], mode="sampling")
    assert [len(t.attempts) for t in store.trajectories()] == [2]
    client = Counted(path)
    progress = run(store, client, sandbox, [FIRST], mode="sampling", draws="all")
    assert (progress.passed, client.asked) == ([0, 1, 0], 1)  # the first two draws are in the ledger
    [trajectory] = store.trajectories("sampling")
    assert (trajectory.status, [a.execution.passed for a in trajectory.attempts]) == ("passed", [False, True, False])
    again = run(store, client, sandbox, [FIRST], mode="sampling", draws="all")
    assert (again.passed, client.asked) == (progress.passed, 1)


def test_a_model_cannot_edit_the_tests(store: Store, tmp_path: Path, sandbox: Sandbox) -> None:
    """A reply that brings its own tests, or empties them, is judged by the task's."""
    path = tmp_path / "cheat.jsonl"
    cheat = f"```python\n{WRONG}\n```\n```python\n# tests.py\nassert f(3) == 4\n```"
    path.write_text(json.dumps({"messages": [turn("user", str(FIRST.prompt))], "completions": [cheat]}))
    run(store, ReplayClient(path), sandbox, [FIRST], max_iterations=0)
    [trajectory] = store.trajectories()
    assert trajectory.attempts[0].execution.verdict == "failed"
    assert trajectory.attempts[0].program == WRONG


def test_concurrency_is_bounded(store: Store, client: Counted, sandbox: Sandbox) -> None:
    running = peak = 0

    class Slow(Counted):
        async def complete(self, request: Request) -> Completion:
            nonlocal running, peak
            running += 1
            peak = max(peak, running)
            await asyncio.sleep(0.01)
            running -= 1
            return Completion(text=fenced(RIGHT))

    tasks = [task(f"t{i}") for i in range(20)]
    client.__class__ = Slow
    progress = run(store, client, sandbox, tasks, concurrency=3)
    assert (progress.passed[0], peak) == (20, 3)


def test_a_run_s_tasks_with_a_control_in_place_of_the_feedback(tmp_path: Path) -> None:
    """Each control gets a run of its own, which begins with the calls that were paid; no trajectory comes along."""
    recorded = tmp_path / "recorded.jsonl"
    recording = [attempt(FIRST, WRONG), repair(FIRST, WRONG, "hint of first", "unused", fenced(RIGHT)),
                 repair(FIRST, WRONG, WRONG_SAYS, "unused", fenced(WORSE))]  # fmt: skip
    recorded.write_text("".join(f"{json.dumps(row)}\n" for row in recording))
    config = parse_config({"client": {"kind": "replay", "model": str(recorded)}, "debugging": {"max_iterations": 1}})
    with Store.open(tmp_path / "true") as store:
        store.put_tasks([FIRST])
        assert debug_tasks(OpenedRun(store, config)).passed == [0, 0]
    with Store.open(tmp_path / "control") as store:
        store.absorb(tmp_path / "true")
        assert (store.count("calls"), store.count("trajectories"), store.count_attempts(0)) == (2, 0, 0)
        store.put_tasks([FIRST])
        progress = debug_tasks(OpenedRun(store, config), lambda task, *_: f"hint of {task.task_id}")
        assert progress.passed == [0, 1]
        assert store.count("calls") == 3  # the first attempt's came from the run before


@pytest.mark.parametrize(
    ("asked", "settings", "expected"),
    [
        pytest.param((512,), {}, 768, id="as many as the client takes, and 256 whose programs run"),
        pytest.param((512, 64), {}, 832, id="two clients"),
        pytest.param((512,), {"concurrency": 3}, 3, id="as set"),
        pytest.param((512, None), {"concurrency": 3}, None, id="a client of batches: one wave"),
    ],
)
def test_tasks_in_flight(
    tmp_path: Path, sandbox: Sandbox, asked: tuple[int | None, ...], settings: dict[str, int], expected: int | None
) -> None:
    (tmp_path / "recording.jsonl").write_text("")
    client = ReplayClient(tmp_path / "recording.jsonl")
    with Store.open(tmp_path / "run") as store:
        first, *repair = (Ledger(client, store, at_a_time=number) for number in asked)
        debugger = Debugger(first, Executor(sandbox, store), store, DebuggingConfig.model_validate(settings))
        found = replace(debugger, repair_ledger=repair[0] if repair else None)
    assert found.at_a_time == expected
