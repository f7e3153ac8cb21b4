"""Recordings for `client.kind=replay`: written by an export, or by hand from what a run says is missing."""

import json
from pathlib import Path
from typing import Any

import pytest
from endpoints import Scripted, completion
from typer.testing import CliRunner

from iterpref.cli import app
from iterpref.programs import fenced
from iterpref.records import Task, TestFile
from iterpref.store import Store

RIGHT, WRONG = fenced("def f(x):\n    return x + 1"), fenced("def f(x):\n    return x")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return made(tmp_path / "run")


def made(folder: Path) -> Path:
    tests = (TestFile(path="t.py", content="assert f(2) == 3"),)
    with Store.open(folder) as store:
        store.put_tasks(
            Task(task_id=f"t/{i}", prompt=f"Write f {i}.", tests=tests, style="assert", entry_point="f")
            for i in range(3)
        )
    return folder


def debug(run: Path, **client: Any) -> str:
    """What stopped debugging with this client."""
    values = [f"client.{key}={value}" for key, value in client.items()]
    line = ["debug", "--run", str(run), *(x for v in (*values, "debugging.max_iterations=2") for x in ("--set", v))]
    return str(CliRunner().invoke(app, line).exception or "")


def passed(run: Path) -> list[tuple[str, int]]:
    with Store.open(run, write=False) as store:
        return [(made.status, len(made.attempts)) for made in store.trajectories()]


def test_stumble_13_a_recording_is_written_from_what_is_missing(run: Path, tmp_path: Path) -> None:
    """A whole run by hand: each time the missing lines are filled in and added."""
    recording = tmp_path / "recording.jsonl"
    recording.write_text("")
    missing = run / "logs" / "not_recorded.jsonl"
    for answer in (WRONG, RIGHT):
        missing.unlink(missing_ok=True)
        assert "not recorded" in debug(run, kind="replay", model=recording)
        assert missing.is_file(), "the line to fill in"
        lines = [json.loads(line) for line in missing.read_text().splitlines()]
        assert len(lines) == 3
        with recording.open("a") as file:
            file.writelines(json.dumps(line | {"completion": answer}) + "\n" for line in lines)
    assert debug(run, kind="replay", model=recording) == ""
    assert passed(run)[-3:] == [("passed", 2)] * 3


def test_stumble_13_a_run_is_recorded_and_replayed(run: Path, tmp_path: Path) -> None:
    def model(body: dict[str, Any]) -> tuple[int, Any]:
        return 200, completion(RIGHT if len(body["messages"]) > 1 else WRONG)

    with Scripted(model) as endpoint:
        assert debug(run, kind="openai", model="m", base_url=endpoint.url) == ""
    recording = tmp_path / "calls.jsonl"
    written = CliRunner().invoke(app, ["export", str(recording), "--run", str(run), "--format", "calls"])
    assert (written.exit_code, recording.is_file()) == (0, True), written.exception
    other = made(tmp_path / "other")
    assert debug(other, kind="replay", model=recording) == ""
    assert passed(other) == passed(run) == [("passed", 2)] * 3


def test_one_completion_answers_a_repair(run: Path, tmp_path: Path) -> None:
    """Without a number of its draw."""
    recording = tmp_path / "recording.jsonl"
    rows = [{"messages": [{"role": "user", "content": f"Write f {i}."}], "completion": RIGHT} for i in range(3)]
    recording.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert debug(run, kind="replay", model=recording) == ""
    assert passed(run) == [("passed", 1)] * 3
