"""A whole debugging run against endpoints that are of no use: one message each, and what was finished stays."""

import gc
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from endpoints import Scripted, completion

from iterpref import pipeline
from iterpref.clients.openai import failures as failures_module
from iterpref.config.load import parse_config
from iterpref.errors import BudgetError, EndpointError, IterPrefError
from iterpref.opened_run import OpenedRun
from iterpref.playground.tasks import playground_tasks
from iterpref.programs import fenced
from iterpref.store import Store

TASKS, FINISHED = 20, 4


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures_module, "FIRST_WAIT_S", 0.01)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "run") as opened:
        opened.put_tasks(playground_tasks("train", TASKS))
        yield opened


def debug(store: Store, url: str, max_calls: int | None = None) -> None:
    values = {
        "client": {"kind": "openai", "model": "m", "base_url": url, "identity": "one", "max_attempts": 2,
                   "give_up_s": 1.0, "timeout_s": 30.0},
        "debugging": {"max_iterations": 0, "concurrency": 2},
        "sandbox": {"workers": 1},
        "budget": {"max_calls": max_calls},
    }  # fmt: skip
    pipeline.debug(OpenedRun(store, parse_config(values)))


def good(_: dict[str, Any]) -> tuple[int, Any]:
    return 200, completion(fenced("def solve(xs):\n    return xs"))


@pytest.mark.parametrize(
    ("status", "answer", "headers", "message"),
    [
        pytest.param(500, {"error": {"message": "down"}}, "", r"calls all failed; .*status 500: down", id="500"),
        pytest.param(200, b"<html>Welcome</html>", "", r"calls all failed; .*no chat completion", id="nonsense",
                     marks=pytest.mark.slow),
        pytest.param(429, {}, "Retry-After: 0.2\r\n", r"throttled for longer than", id="429 for ever"),
        pytest.param(401, {"error": {"message": "no"}}, "", r"status 401: no; check client.base_url", id="refused key",
                     marks=pytest.mark.slow),
        pytest.param(0, b"", "", r"nothing answers there: the connection failed", id="nothing listens"),
    ],
)  # fmt: skip
def test_an_endpoint_of_no_use(
    store: Store, caplog: pytest.LogCaptureFixture, status: int, answer: Any, headers: str, message: str
) -> None:
    with Scripted(good) as endpoint:
        with pytest.raises(BudgetError, match=f"budget reached: {FINISHED} calls"):
            debug(store, endpoint.url, max_calls=FINISHED)
        finished = list(store.trajectories())
        assert len(finished) == FINISHED
    with Scripted(lambda _: (status, answer), headers) as endpoint, socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = endpoint.url if status else f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        with pytest.raises(IterPrefError, match=message) as raised:
            debug(store, url)
    assert isinstance(raised.value, EndpointError)
    assert "\n" not in str(raised.value)
    gc.collect()
    assert "never retrieved" not in caplog.text, "tracebacks beside the one message"
    assert list(store.trajectories()) == finished
    assert store.count("dead_letters") == 0, "an endpoint at fault condemns no call"
    with Scripted(good) as endpoint:
        debug(store, endpoint.url)
        assert endpoint.requests == TASKS - FINISHED
    assert store.count("trajectories") == TASKS
