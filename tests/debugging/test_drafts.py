"""The program that a task was drafted with is the first attempt: no call is made for one (CodeFlow's iteration 0)."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from test_debug import EASY, FIRST, RIGHT, WRONG, WRONG_SAYS, Counted, attempt, repair, run

from iterpref.clients import Ledger
from iterpref.config import DebuggingConfig
from iterpref.config.load import parse_config
from iterpref.debugging.debugger import Debugger
from iterpref.debugging.estimate import estimate_debugging
from iterpref.executor import Executor
from iterpref.opened_run import OpenedRun
from iterpref.programs import fenced
from iterpref.records import DraftedProgram, Task
from iterpref.sandbox import Sandbox
from iterpref.store import Store

USAGE = f"{WRONG}\n\nprint(f(2))"


@pytest.fixture
def client(tmp_path: Path) -> Counted:
    """Repairs WRONG for FIRST, and writes first programs."""
    path = tmp_path / "recording.jsonl"
    lines = [attempt(FIRST, RIGHT), attempt(EASY, RIGHT), repair(FIRST, WRONG, WRONG_SAYS, "unused", fenced(RIGHT))]
    path.write_text("\n".join(map(json.dumps, lines)))
    return Counted(path)


def drafted(task: Task, program: str, passes: bool = False) -> Task:
    draft = DraftedProgram(program=program, client="teacher", call_id="call")
    return task.model_copy(update={"draft": draft, "reference": program if passes else None})


TASKS = [drafted(FIRST, WRONG), drafted(EASY, RIGHT, passes=True)]


def test_a_failing_draft_is_repaired_and_a_passing_one_costs_nothing(
    store: Store, client: Counted, sandbox: Sandbox
) -> None:
    progress = run(store, client, sandbox, TASKS)
    assert (progress.passed, client.asked) == ([1, 1, 0], 1)
    easy, first = store.trajectories()
    assert [a.program for a in first.attempts] == [WRONG, RIGHT]
    assert (first.attempts[0].call_id, first.attempts[0].feedback) == ("call", WRONG_SAYS)
    assert (easy.status, len(easy.attempts)) == ("passed", 1)
    assert {t.client for t in (easy, first)} == {f"teacher + {client.name}"}, "the drafter's, and who repairs"
    run(store, client, sandbox, TASKS)
    assert (client.asked, store.count("trajectories"), store.count("calls")) == (1, 2, 1)


def test_the_same_model_is_named_once(store: Store, client: Counted, sandbox: Sandbox) -> None:
    own = DraftedProgram(program=WRONG, client=client.name)
    run(store, client, sandbox, [FIRST.model_copy(update={"draft": own})])
    assert [t.client for t in store.trajectories()] == [client.name]


@pytest.mark.parametrize("settings", [{"drafts": False}, {"mode": "sampling"}], ids=str)
def test_a_draft_is_not_taken(store: Store, client: Counted, sandbox: Sandbox, settings: dict[str, object]) -> None:
    run(store, client, sandbox, TASKS)
    progress = run(store, client, sandbox, TASKS, **settings)
    assert (progress.passed, client.asked) == ([2, 0, 0], 3)
    assert store.count("trajectories") == 4, "a trajectory of its own"


def test_usage_below_a_draft_is_cut_as_in_replies(store: Store, client: Counted, sandbox: Sandbox) -> None:
    run(store, client, sandbox, [drafted(FIRST, USAGE)])
    [trajectory] = store.trajectories()
    assert (trajectory.attempts[0].program, trajectory.attempts[0].completion) == (WRONG, USAGE)
    assert trajectory.status == "passed", "the model was shown what ran"


def test_a_killed_command_goes_on_after_the_draft(store: Store, client: Counted, sandbox: Sandbox) -> None:
    unrecorded = drafted(FIRST.model_copy(update={"task_id": "other", "prompt": "another"}), WRONG)
    assert run(store, client, sandbox, [unrecorded]).failed_tools == 1
    debugger = Debugger(Ledger(client, store), Executor(sandbox, store), store, DebuggingConfig())
    assert [a.program for a in store.attempts(debugger.trajectory_id(unrecorded))] == [WRONG]
    run(store, client, sandbox, TASKS)
    assert [t.status for t in store.trajectories()] == ["passed", "passed"]


def debug_again(store: Store, client: Counted, sandbox: Sandbox, tasks: Sequence[Task], since: int) -> None:
    config = DebuggingConfig(max_iterations=2)
    debugger = Debugger(Ledger(client, store, since=since), Executor(sandbox, store), store, config)
    for task in tasks:
        asyncio.run(debugger.run(task))


def test_asking_again_asks_for_repairs_and_keeps_the_draft(store: Store, client: Counted, sandbox: Sandbox) -> None:
    run(store, client, sandbox, TASKS)
    before, since = list(store.trajectories()), store.last_call()
    debug_again(store, client, sandbox, TASKS, since)
    assert (list(store.trajectories()), client.asked) == (before, 2)
    debug_again(store, client, sandbox, TASKS, since)
    assert client.asked == 2, "what was asked again stands"


def test_an_estimate_counts_no_call_for_drafts(store: Store) -> None:
    store.put_tasks([*TASKS, FIRST.model_copy(update={"task_id": "plain"})])
    config = parse_config({"debugging": {"max_iterations": 1}})
    found = estimate_debugging(OpenedRun(store, config))
    assert (found["tasks_left"], found["drafts_left"]) == (3, 2)
    assert found["most_calls"] == 3, "one first call, and a repair each of the plain task and the failing draft"
    without = parse_config({"debugging": {"max_iterations": 1, "drafts": False}})
    assert estimate_debugging(OpenedRun(store, without))["most_calls"] == 6
