"""What models add below their function runs neither in debugging nor ends up in pairs; the reply itself is kept."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from iterpref.clients import Ledger
from iterpref.clients.replay import ReplayClient
from iterpref.config import DebuggingConfig, PairingConfig
from iterpref.debugging.debug import DebugProgress, debug
from iterpref.debugging.debugger import Debugger
from iterpref.executor import Executor
from iterpref.pairing import make_pairs
from iterpref.programs import fenced
from iterpref.prompts import render
from iterpref.records import Task, TestFile, Trajectory
from iterpref.sandbox import Sandbox
from iterpref.store import Store

TASK = Task(task_id="t", prompt="Write f(x), twice x.", style="assert", entry_point="f",
            tests=(TestFile(path="tests.py", content="assert f(1) == 2\nassert f(3) == 6"),))  # fmt: skip
RIGHT, WRONG = "def f(x):\n    return x * 2", "def f(x):\n    return x + 1"
USAGE = "\n\n\n# Tests\nassert f(2) == 5\nprint(f(int(input())))\nif __name__ == '__main__':\n    f(0)\n"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(workers=1) as opened:
        yield opened


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "run") as opened:
        opened.put_tasks([TASK])
        yield opened


def run(store: Store, sandbox: Sandbox, replies: dict[str, str], task: Task = TASK, **settings: Any) -> Trajectory:
    """Debug one task. `replies`: last turn of a request → the reply."""
    path = store.folder.parent / "recording.jsonl"
    path.write_text("".join(json.dumps({"last": last, "reply": reply}) + "\n" for last, reply in replies.items()))
    client = LastTurn(path)
    config = DebuggingConfig(**{"max_iterations": 1, **settings})
    debugger = Debugger(Ledger(client, store), Executor(sandbox, store), store, config)
    progress = asyncio.run(debug(debugger, [task], 1))
    assert not progress.errors
    [trajectory] = [t for t in store.trajectories() if t.trajectory_id == debugger.trajectory_id(task)]
    return trajectory


class LastTurn(ReplayClient):
    """Answers by the last turn alone; what it doesn't know gets no program."""

    def __init__(self, path: Path) -> None:
        lines = map(json.loads, path.read_text().splitlines())
        self._replies = {line["last"]: line["reply"] for line in lines}
        path.write_text("")
        super().__init__(path)

    async def complete(self, request: Any) -> Any:
        from iterpref.clients import Completion

        return Completion(text=self._replies.get(request.messages[-1].content, "No idea."), completion_tokens=1)


def test_defect_37_a_right_function_does_not_fail_by_its_own_wrong_assert(store: Store, sandbox: Sandbox) -> None:
    reply = f"Here it is:\n{fenced(RIGHT + USAGE)}\nIt doubles."
    trajectory = run(store, sandbox, {str(TASK.prompt): reply})
    attempt = trajectory.attempts[0]
    assert attempt.execution.verdict == "passed"
    assert attempt.program == RIGHT
    assert attempt.completion == reply


def test_defect_37_wrong_lines_hold_no_test_lines(store: Store, sandbox: Sandbox) -> None:
    repair = render("repair", feedback="f(3) returned 4, expected 6")
    run(store, sandbox, {str(TASK.prompt): fenced(WRONG + USAGE), repair: fenced(RIGHT + USAGE)})
    pairs = list(make_pairs(store, PairingConfig()))
    assert [pair.rejected for pair in pairs] == [fenced(WRONG)]


def test_programs_that_read_and_print_stay_as_they_are(store: Store, sandbox: Sandbox) -> None:
    cases = TestFile(path="cases.jsonl", content=json.dumps({"stdin": "2\n", "stdout": "4\n"}))
    script = "def f(x):\n    return x * 2\nprint(f(int(input())))"
    task = Task(task_id="s", prompt="Twice.", tests=(cases,), style="stdio")
    store.put_tasks([task])
    [attempt] = run(store, sandbox, {"Twice.": fenced(script)}, task).attempts
    assert (attempt.program, attempt.execution.verdict) == (script, "passed")


def test_untrimmed_on_request_is_a_trajectory_of_its_own(store: Store, sandbox: Sandbox) -> None:
    replies = {str(TASK.prompt): fenced(RIGHT + "\nassert f(2) == 5")}
    trimmed = run(store, sandbox, replies, max_iterations=0)
    raw = run(store, sandbox, replies, max_iterations=0, trim=False)
    assert [t.attempts[0].execution.passed for t in (trimmed, raw)] == [True, False]
    assert trimmed.trajectory_id != raw.trajectory_id


def test_attempts_of_an_earlier_version_stay_and_are_not_paid_again(store: Store, sandbox: Sandbox) -> None:
    """A trajectory under way, made before programs were cut: what the model saw of its first program stays."""
    first = fenced(WRONG + "\nassert f(2) == 5")
    raw = run(store, sandbox, {str(TASK.prompt): first}, max_iterations=0, trim=False)
    default = run(store, sandbox, {str(TASK.prompt): first}, max_iterations=0)
    # As that version left it, under the id that it has by default.
    [stored] = raw.attempts
    key = asyncio.run(Executor(sandbox, store).execute(TASK, stored.program))[0]
    store.put_attempt(default.trajectory_id, TASK.task_id, stored, key)
    repair = render("repair", feedback=stored.feedback or stored.execution.text)
    replies = {str(TASK.prompt): first, repair: fenced(RIGHT + USAGE)}
    trajectory = run(store, sandbox, replies)
    assert [attempt.program for attempt in trajectory.attempts] == [stored.program, RIGHT]


def test_defect_39_the_note_counts_what_finished() -> None:
    progress = DebugProgress(total=60, passed=[7, 0, 2], done=9)
    assert "100%" not in progress.note
    assert progress.note == "9 of 9 finished passed, by iteration: 7 7 9"
