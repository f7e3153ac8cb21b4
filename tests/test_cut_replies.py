"""Replies that were cut at `max_tokens`: marked, said and counted, and their programs make no pairs by themselves."""

import json
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from iterpref import Task, TestFile, focal_pairs
from iterpref.cli import app
from iterpref.feedback import feedback_text
from iterpref.playground.tasks import playground_tasks
from iterpref.records import Attempt, PreferencePair
from iterpref.store import Store

sys.path.append(str(Path(__file__).parent / "clients"))
from endpoints import Scripted, completion

WRONG = "```python\ndef f(x):\n    y = x + 1\n    return y\n```"
RIGHT = "```python\ndef f(x):\n    y = x * 2\n    return y\n```"
# Task → the first reply, and why it ended.
REPLIES = {
    "whole": (WRONG, "stop"),
    "explained": (f"{WRONG}\nThis adds one to", "length"),
    "unfinished": ("Here:\n```python\ndef f(x):\n    y = (x +", "length"),
    "prose": ("I think that", "length"),
    "enough": ("```python\ndef f(x):\n    return x * 2", "length"),
}
CUT = {"unfinished", "prose", "enough"}
SAID = "the reply was cut at max_tokens"


def model(body: dict[str, Any]) -> tuple[int, Any]:
    """What `REPLIES` says, and then the right program."""
    name = body["messages"][0]["content"].split(":")[0]
    text, reason = REPLIES[name] if len(body["messages"]) == 1 else (RIGHT, "stop")
    return 200, completion(text, finish_reason=reason)


@pytest.fixture
def endpoint() -> Iterator[Scripted]:
    with Scripted(model) as served:
        yield served


@pytest.fixture
def run(tmp_path: Path, endpoint: Scripted) -> Path:
    """All tasks, debugged and paired."""
    made(tmp_path / "run")
    cli("debug", tmp_path / "run", *asked(endpoint))
    cli("pair", tmp_path / "run")
    return tmp_path / "run"


def made(folder: Path) -> Path:
    tests = (TestFile(path="t.py", content="assert f(1) == 2\nassert f(3) == 6"),)
    with Store.open(folder) as store:
        store.put_tasks(
            Task(task_id=name, prompt=f"{name}: double x.", tests=tests, style="assert", entry_point="f")
            for name in REPLIES
        )
    return folder


def cli(verb: str, run: Path, *settings: str, options: tuple[str, ...] = ()) -> dict[str, Any]:
    """What a command says in the end."""
    words = [verb, "--run", str(run), "--json", *options, *(part for key in settings for part in ("--set", key))]
    ended = CliRunner().invoke(app, words)
    assert ended.exception is None, (ended.exception, ended.output)
    return dict(json.loads(ended.stdout.splitlines()[-1]))


def asked(endpoint: Scripted) -> tuple[str, ...]:
    return "client.kind=openai", "client.model=m", f"client.base_url={endpoint.url}", "sandbox.workers=1"


def attempts(run: Path) -> dict[str, list[Attempt]]:
    with Store.open(run, write=False) as store:
        return {found.task_id: list(found.attempts) for found in store.trajectories()}


def cut_ones(run: Path) -> set[str]:
    return {name for name, found in attempts(run).items() if any(attempt.cut for attempt in found)}


def pairs(run: Path) -> dict[str, PreferencePair]:
    with Store.open(run, write=False) as store:
        return {pair.task_id: pair for pair in store.pairs()}


def test_a_program_is_cut_where_its_reply_ended_first(run: Path) -> None:
    found = attempts(run)
    assert {name for name, made in found.items() if made[0].cut} == CUT
    assert not any(attempt.cut for made in found.values() for attempt in made[1:])
    assert found["unfinished"][0].execution.error_type == "SyntaxError"
    assert found["enough"][0].execution.passed, "a program that was cut may be all that is needed"


def test_it_is_counted_with_what_to_do_and_asked_once(run: Path, endpoint: Scripted) -> None:
    before = endpoint.requests
    summary = cli("debug", run, *asked(endpoint))
    assert summary["cut_replies"] == 2, "those that failed"
    assert "raise debugging.sampling.max_tokens" in summary["note"]
    assert endpoint.requests == before


def test_nothing_is_said_where_no_reply_was_cut(tmp_path: Path) -> None:
    with Scripted(lambda body: (200, completion(WRONG))) as endpoint:
        summary = cli("debug", made(tmp_path / "run"), "debugging.max_iterations=1", *asked(endpoint))
    assert not {"cut_replies", "note"} & summary.keys()


def test_what_the_model_reads_and_keys_of_its_calls_are_as_ever(run: Path, endpoint: Scripted) -> None:
    first, _ = attempts(run)["unfinished"]
    assert first.feedback == feedback_text(first.execution)
    repairs = {body["messages"][0]["content"].split(":")[0]: body["messages"] for body in endpoint.seen[5:]}
    assert SAID not in str(repairs["unfinished"]) and first.feedback in repairs["unfinished"][-1]["content"]


def test_its_pairs_are_dropped_under_a_reason_of_their_own(run: Path) -> None:
    assert {name for name, pair in pairs(run).items() if pair.kept} == {"whole", "explained"}
    summary = cli("pair", run)
    assert summary["dropped"] == {"cut": {"the rejected program was cut at max_tokens (pairing.cut=keep keeps it)": 2}}
    assert summary["left"]["cut"] == summary["kept"] == 2
    assert "| cut | 2 |" in (run / "pairs" / "README.md").read_text()
    with Store.open(run, write=False) as store:
        [trajectory] = [found for found in store.trajectories() if found.task_id == "unfinished"]
        [dropped] = focal_pairs(store.task("unfinished"), trajectory)
    assert [verdict.name for verdict in dropped.filters if not verdict.kept] == ["cut"]


def test_they_can_be_kept(run: Path) -> None:
    summary = cli("pair", run, "pairing.cut=keep")
    assert {name for name, pair in pairs(run).items() if pair.kept} == {"whole", "explained", "unfinished"}
    assert summary["dropped"] == {"program": {"the rejected reply holds no program": 1}}


def test_people_are_told(run: Path) -> None:
    shown = {name: CliRunner().invoke(app, ["show", str(run), name]).stdout for name in REPLIES}
    assert {name for name, text in shown.items() if SAID in text} == CUT
    assert f"attempt 0: error, SyntaxError, {SAID}" in shown["unfinished"]
    cli("report", run)
    page = (run / "report.html").read_text()
    assert "2 failing replies were cut at the token limit before the program ended" in page
    assert page.count("The reply was cut at <code>max_tokens</code> before its program ended.") == 2


def test_the_viewer_tells_it(run: Path) -> None:
    pytest.importorskip("fastapi")
    sys.path.append(str(Path(__file__).parent / "viewer"))
    from live_runs import reader

    with Store.open(run, write=False) as store:
        ids = {found.task_id: found.trajectory_id for found in store.trajectories()}
    pages = {name: reader(run).get("/trajectory", params={"id": ids[name]}).text for name in ids}
    assert {name for name, page in pages.items() if "The reply was cut at" in page} == CUT


def test_the_mark_goes_with_trajectories_and_recordings(run: Path, tmp_path: Path) -> None:
    rows, calls = tmp_path / "trajectories.jsonl", tmp_path / "calls.jsonl"
    for _ in range(2):  # the second time over the first
        CliRunner().invoke(app, ["export", str(rows), "--run", str(run)], catch_exceptions=False)
        words = ["export", str(calls), "--run", str(run), "--format", "calls"]
        assert CliRunner().invoke(app, words, catch_exceptions=False).exit_code == 0
    imported = CliRunner().invoke(app, ["import", str(rows), "--run", str(tmp_path / "imported")])
    assert (imported.exit_code, cut_ones(tmp_path / "imported")) == (0, CUT)
    replayed = made(tmp_path / "replayed")
    cli("debug", replayed, "client.kind=replay", f"client.model={calls}", "sandbox.workers=1")
    assert cut_ones(replayed) == CUT


def test_records_of_earlier_versions_are_read_and_not_cut(run: Path) -> None:
    with closing(sqlite3.connect(run / "run.sqlite")) as database, database:
        assert database.execute("UPDATE attempts SET record = json_remove(record, '$.cut')").rowcount > 5
    assert cut_ones(run) == set()
    assert cli("pair", run)["left"]["cut"] == 4


@pytest.mark.parametrize("limit", [8, 192])
def test_a_model_in_this_process(tmp_path: Path, limit: int) -> None:
    run = tmp_path / "run"
    with Store.open(run) as store:
        store.put_tasks(playground_tasks("train", 4))
    summary = cli("debug", run, f"debugging.sampling.max_tokens={limit}", "debugging.max_iterations=1")
    evaluated = cli("evaluate", run, f"evaluation.sampling.max_tokens={limit}", "evaluation.tasks=3")
    with Store.open(run, write=False) as store:
        [result] = store.results()
    made = [attempt for found in attempts(run).values() for attempt in found]
    assert {attempt.cut for attempt in made} == {sample.cut for sample in result.samples} == {limit == 8}
    if limit == 8:  # less than any program takes
        assert (summary["cut_replies"], evaluated["cut_replies"]) == (8, 3)
        assert "raise evaluation.sampling.max_tokens" in evaluated["note"]
    else:
        assert "cut_replies" not in {**summary, **evaluated}
