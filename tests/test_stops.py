"""A command that is stopped, by its user, a full disk or an endpoint, says so in one line and keeps what was done."""

import json
import os
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from iterpref.cli import app
from iterpref.playground.tasks import playground_tasks
from iterpref.programs import fenced
from iterpref.records import PreferencePair, Span
from iterpref.store import Store

sys.path.append(str(Path(__file__).parent / "clients"))
from endpoints import Scripted, completion

PROGRAM = fenced("def solve(xs):\n    return xs")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    with Store.open(tmp_path / "run") as store:
        store.put_tasks(playground_tasks("train", 12))
    return tmp_path / "run"


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address where nothing listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{unused.getsockname()[1]}/v1"


def options(url: str, *more: str, client: str = "client") -> list[str]:
    values = [f"{client}.kind=openai", f"{client}.model=m", f"{client}.base_url={url}", f"{client}.max_attempts=2"]
    values.append(f"{client}.identity=one")  # whatever the address
    return [part for value in (*values, *more) for part in ("--set", value)]


def start(*arguments: object, **process: Any) -> subprocess.Popen[str]:
    line = [sys.executable, "-X", "faulthandler", "-m", "iterpref", *map(str, arguments)]
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **process)


def hear_ctrl_c() -> None:
    """As at a terminal, also where the tests were started in the background of a script, which ignores it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    try:
        _, said = process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)  # it says where it hangs
        pytest.fail(process.communicate()[1])
    return process.returncode, said


def test_bad_input_ctrl_c_in_debug_says_what_is_kept(run: Path) -> None:
    answered, over = 0, threading.Event()

    def until_stopped(body: dict[str, Any]) -> tuple[int, Any]:
        nonlocal answered
        answered += 1
        if answered > 3:
            over.wait(60)
        return 200, completion(PROGRAM)

    with Scripted(until_stopped) as endpoint:
        given = options(endpoint.url, "client.concurrency=1", "sandbox.workers=1")
        process = start("debug", "--run", run, *given, preexec_fn=hear_ctrl_c)
        while calls(run) < 3 and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        status, said = ended(process)
        over.set()
    last = said.strip().splitlines()[-1] if said.strip() else ""
    kept = calls(run)
    assert (status, last) == (130, f"iterpref: stopped; {kept} calls kept; run the same command again to go on")
    assert "Traceback" not in said


def calls(run: Path) -> int:
    with Store.open(run, write=False) as store:
        return store.count("calls")


def no_large_files() -> None:
    """As a full disk: what is longer than this can't be written. (Python ignores the signal that goes with it.)"""
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))


def long_reply(body: dict[str, Any]) -> tuple[int, Any]:
    return 200, completion(f"{os.urandom(20_000).hex()}\n{PROGRAM}")


@pytest.mark.parametrize("verb", ["debug", "judge"])
def test_bad_input_disk_full_is_one_message_and_the_database_is_sound(run: Path, verb: str) -> None:
    with Store.open(run) as store:
        store.replace_pairs(map(pair, range(12)))
    with Scripted(long_reply) as endpoint:
        status, said = ended(start(verb, "--run", run, *options(endpoint.url), preexec_fn=no_large_files))
    assert status == 1
    assert "Traceback" not in said
    last = said.strip().splitlines()[-1]
    assert "run.sqlite" in last and "the disk or a quota is full" in last and "kept" in last and "again" in last
    with sqlite3.connect(run / "run.sqlite") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert 0 < calls(run) < 12
    with Scripted(lambda _: (200, completion(PROGRAM))) as endpoint:  # there is room again
        before = calls(run)
        assert ended(start(verb, "--run", run, *options(endpoint.url, "debugging.max_iterations=0")))[0] == 0
        assert endpoint.requests == 12 - before


def pair(number: int) -> PreferencePair:
    spans = {"chosen_spans": (Span(start=0, stop=1),), "rejected_spans": (Span(start=0, stop=1),)}
    return PreferencePair(pair_id=f"p{number}", task_id="t", prompt="p", chosen=f"a = {number}", rejected="b = 1",
                          diff="", diff_version=1, render_template="", **spans)  # fmt: skip


def test_bad_input_disk_full_where_a_file_is_written(tmp_path: Path) -> None:
    from test_records import RESULT

    def tiny() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20))

    results = [tmp_path / f"{name}.json" for name in "ab"]
    for file in results:
        file.write_text(RESULT.model_copy(update={"model": file.stem, "result_id": file.stem}).model_dump_json())
    status, said = ended(start("compare", *results, "--markdown", tmp_path / "table.md", preexec_fn=tiny))
    assert status == 1
    assert "Traceback" not in said and "can't be written (File too large)" in said


@pytest.mark.parametrize("tests", [False, True], ids=["pairs", "tests"])
def test_bad_input_judge_where_all_calls_fail(run: Path, tests: bool) -> None:
    refused = {"error": {"message": "no judging here"}}
    with Store.open(run) as store:
        store.replace_pairs(map(pair, range(2)))
        if tests:
            measured(store)
    with Scripted(lambda _: (400, refused)) as endpoint:
        told = CliRunner().invoke(app, ["judge", "--run", str(run), *options(endpoint.url), *["--tests"] * tests])
        assert endpoint.requests == (1 if tests else 2)
    assert told.exit_code == 1
    assert "could not be judged; first: " in str(told.exception) and "no judging here" in str(told.exception)


def measured(store: Store) -> None:
    """A task with a reference whose tests were validated."""
    from iterpref.records import TestQuality, program_hash

    [task] = playground_tasks("held_out", 1)
    store.put_tasks([task.model_copy(update={"reference": "def solve(x):\n    return x"})])
    stored = store.task(task.task_id)
    known = {"task_id": stored.task_id, "program_hash": program_hash(stored.reference or "")}
    counts = {"repeats": 1, "repeats_passed": 1, "tests_hash": stored.tests_hash}
    store.put_quality(TestQuality.model_validate(known | counts))


def test_bad_input_an_unreachable_endpoint_is_said_while_it_is_tried(run: Path, nobody: str) -> None:
    """The reason and the attempt, before the end."""
    line = options(nobody, "client.max_attempts=3", "debugging.concurrency=2")
    status, said = ended(start("debug", "--run", run, *line))
    tried = [text for text in said.splitlines() if "connection refused" in text and "attempt" in text]
    assert status == 1
    assert "attempt 1 of 3, next in" in "".join(tried)
    assert "nothing answers there" in said.splitlines()[-1]


def test_bad_input_no_key_in_the_environment(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the first attempt, naming the variable."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    values = ["client.kind=openai", "client.model=m", "client.base_url=https://127.0.0.1:9/v1", "client.max_attempts=2"]
    told = CliRunner().invoke(app, ["debug", "--run", str(run), *[x for v in values for x in ("--set", v)]])
    assert "OPENAI_API_KEY is not set in the environment" in str(told.exception)
    assert "(1 attempt)" in str(told.exception)


@pytest.mark.parametrize("quoted", ["sk-wrong-0123456789", "sk-wr***********6789", "sk-w...6789"])
def test_bad_input_a_refused_key_is_not_echoed(run: Path, monkeypatch: pytest.MonkeyPatch, quoted: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-wrong-0123456789")
    refusal = {"error": {"message": f"Incorrect API key provided: {quoted}."}}
    with Scripted(lambda _: (401, refusal)) as endpoint:
        told = CliRunner().invoke(app, ["debug", "--run", str(run), *options(endpoint.url)])
    assert "Incorrect API key provided: ***" in str(told.exception)
    assert "6789" not in str(told.exception)


def test_bad_input_no_prices_are_no_zero_dollars(run: Path) -> None:
    """Neither in the estimate nor where a budget stops."""
    estimated = CliRunner().invoke(app, ["debug", "--run", str(run), "--estimate", "--json", *options("http://h/v1")])
    assert json.loads(estimated.stdout)["most_usd"] == "unknown: no prices are set"
    with Scripted(lambda _: (200, completion(PROGRAM))) as endpoint:
        told = CliRunner().invoke(app, ["debug", "--run", str(run), *options(endpoint.url, "budget.max_calls=2")])
    assert "2 calls (prices unknown)" in str(told.exception)
