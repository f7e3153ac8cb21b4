"""`sandbox.service`: the verbs of a run with a service in place of this machine's sandbox."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from services import Start

from iterpref import pipeline
from iterpref.config.load import parse_config
from iterpref.errors import ConfigError, SandboxError
from iterpref.opened_run import OpenedRun, open_sandbox
from iterpref.playground.tasks import playground_tasks
from iterpref.sandbox.remote import ServedSandbox, connect
from iterpref.store import Store

FEW: dict[str, Any] = {"max_iterations": 1, "sampling": {"max_tokens": 96}}


def debugged(folder: Path, sandbox: dict[str, Any]) -> list[object]:
    """Verdicts and errors of the attempts at a few tasks, and how their tests were measured."""
    values = {"client": {"batch_size": 1}, "debugging": FEW, "sandbox": sandbox, "validation": {"repeats": 2}}
    config = parse_config(values)
    with Store.open(folder) as store:
        store.put_tasks(playground_tasks("train", 4))
        pipeline.debug(OpenedRun(store, config))
        measured = pipeline.validate(OpenedRun(store, config))
        found = [(a.execution.verdict, a.execution.error) for t in store.trajectories() for a in t.attempts]
        return [found, measured, [quality.model_dump() for quality in store.qualities()]]


def test_a_run_finds_what_it_finds_here(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ITERPREF_TOKEN", "secret")
    away = debugged(tmp_path / "away", {"service": start(2, token="secret")})
    assert away == debugged(tmp_path / "here", {"workers": 2})
    assert {"passed"} < {verdict for verdict, _ in away[0]}, "some pass, some fail"  # type: ignore[attr-defined]


def test_it_takes_as_many_jobs_as_the_service_runs_at_once(start: Start, url: str) -> None:
    for workers, expected in ((None, 2), (5, 5)):
        with open_sandbox(parse_config({"sandbox": {"service": url, "workers": workers}}).sandbox) as sandbox:
            assert isinstance(sandbox, ServedSandbox) and sandbox.workers == expected and sandbox.place == url


@contextmanager
def answering(health: dict[str, Any]) -> Iterator[str]:
    """A server that says this of itself, as a service of another version would."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(health).encode())

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_bad_input_a_service_that_can_not_stand_for_this_machine(url: str) -> None:
    with connect(url, min_isolation="landlock") as served:
        health = served.health
    for changed, message in (
        ({"isolation": "rlimits"}, "isolates by rlimits, and at least landlock is expected"),
        ({"isolation": "of tomorrow"}, "isolates by of tomorrow, and at least landlock is expected"),
        ({"engine": "1"}, r"engine 1 on Python 3.\d+, and verdicts of engine"),
        ({"python": "3.8.1"}, r"on Python 3.8, and verdicts of engine .* on Python 3.\d+ are expected; start it with"),
    ):
        with answering(health | changed) as other, pytest.raises(SandboxError, match=message):
            connect(other)


def test_bad_input_a_service_that_wants_a_token(start: Start) -> None:
    guarded = start(1, token="secret")
    with pytest.raises(SandboxError, match="401: Authorization: a bearer token is needed"):
        connect(guarded, "wrong")
    connect(guarded, "secret").close()


def test_bad_input_a_service_that_is_none(url: str) -> None:
    with answering({"status": "ok"}) as other, pytest.raises(SandboxError, match="something else answers there"):
        connect(other)
    with pytest.raises(SandboxError, match="is iterpref serve running there"):
        connect("http://127.0.0.1:9")
    with pytest.raises(SandboxError, match="404"):
        connect(f"{url}/elsewhere")
    with pytest.raises(ConfigError, match="sandbox: isolation and preload are the service's own"):
        parse_config({"sandbox": {"service": url, "preload": ["numpy"]}})


def test_the_command_says_so(tmp_path: Path) -> None:
    line = [sys.executable, "-m", "iterpref", "debug", "--run", str(tmp_path / "run")]
    with Store.open(tmp_path / "run") as store:
        store.put_tasks(playground_tasks("train", 1))
    ran = subprocess.run([*line, "--set", "sandbox.service=http://127.0.0.1:9"], capture_output=True, text=True)
    assert ran.returncode == 1 and "service http://127.0.0.1:9: " in ran.stderr and "Traceback" not in ran.stderr
