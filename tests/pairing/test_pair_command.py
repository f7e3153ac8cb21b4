"""`iterpref pair`: what it says where there are no pairs, and that it replaces those of another source only if told."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from iterpref.cli import app
from iterpref.programs import fenced
from iterpref.records import Attempt, Execution, Task, TestFile, Trajectory
from iterpref.store import Store

WRONG, RIGHT = "def f(x):\n    y = x + 1\n    return y", "def f(x):\n    y = x * 2\n    return y"
TESTS = (TestFile(path="t.py", content="assert f(2) == 4"),)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """One task: its repairs all failed, and of two draws one passed."""
    with Store.open(tmp_path / "run") as store:
        store.put_tasks([Task(task_id="t", prompt="Double x.", tests=TESTS, style="assert", entry_point="f")])
        for origin, programs in {"debugging": (WRONG, WRONG + "\n"), "sampling": (WRONG, RIGHT)}.items():
            made = trajectory(origin, programs)
            for attempt in made.attempts:
                store.put_execution(key := f"{origin}{attempt.iteration}", attempt.execution)
                store.put_attempt(made.trajectory_id, made.task_id, attempt, key)
            store.put_trajectory(made)
    return tmp_path / "run"


def trajectory(origin: str, programs: tuple[str, ...]) -> Trajectory:
    attempts = tuple(
        Attempt(
            iteration=number,
            program=program,
            completion=fenced(program),
            execution=Execution(verdict="passed" if program == RIGHT else "failed", trust="oracle", isolation="zygote"),
        )
        for number, program in enumerate(programs)
    )
    status = "passed" if RIGHT in programs else "unresolved"
    return Trajectory(
        trajectory_id=f"t:{origin}", task_id="t", attempts=attempts, status=status, client="m", origin=origin
    )


def pair(run: Path, *settings: str) -> tuple[int, str]:
    ended = CliRunner().invoke(app, ["pair", "--run", str(run), *(part for key in settings for part in ("--set", key))])
    return ended.exit_code, ended.output if ended.exception is None else f"{ended.output}{ended.exception}"


def test_without_any_it_says_what_gives_some(run: Path) -> None:
    code, said = pair(run)
    assert code == 0 and "kept: 0" in said
    assert "no failing program was followed by one that passes; draws may give pairs" in said


def test_pairs_of_draws_are_replaced_only_if_somebody_says_so(run: Path) -> None:
    assert "kept: 1" in pair(run, "pairing.source=sampling")[1]
    code, said = pair(run, "pairing.negatives=each")
    assert code != 0 and "its 1 kept pairs were made with pairing.source=sampling" in said
    with Store.open(run, write=False) as store:
        assert store.count_kept_pairs() == 1
    assert "kept: 1" in pair(run, "pairing.source=sampling", "pairing.negatives=each")[1]
    assert "kept: 0" in pair(run, "pairing.source=debugging")[1]
