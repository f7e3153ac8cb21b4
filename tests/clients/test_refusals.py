"""What an endpoint says about one request is that request's own: refusals stop nothing, and nothing is asked twice."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from endpoints import BatchServer, Scripted, completion

from iterpref import pipeline
from iterpref.clients import Budget, BudgetConfig, Ledger, Request
from iterpref.clients.openai import OpenAIConfig
from iterpref.clients.openai import batch as batch_module
from iterpref.clients.openai import client as client_module
from iterpref.clients.openai.client import OpenAIClient
from iterpref.config.load import parse_config
from iterpref.errors import ClientError, EndpointError
from iterpref.opened_run import OpenedRun
from iterpref.playground.tasks import playground_tasks
from iterpref.programs import fenced
from iterpref.records import Message, as_messages
from iterpref.store import Store

LONG, GOOD = 12, 10
TOO_LONG = {"error": {"message": "This model's maximum context length is 4096 tokens, and you asked for 9000."}}
PROGRAM = fenced("def solve(xs):\n    return xs")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "backoff", lambda attempt: 0.01)
    monkeypatch.setattr(batch_module, "QUIET_S", 0.05)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Tasks whose first ones have a prompt too long for the model."""
    tasks = playground_tasks("train", LONG + GOOD)
    with Store.open(tmp_path / "run") as opened:
        opened.put_tasks(t.model_copy(update={"prompt": f"TOO LONG {t.prompt}"}) for t in tasks[:LONG])
        opened.put_tasks(tasks[LONG:])
        yield opened


def refusing(status: int, answer: Any) -> Any:
    """A script that refuses the over-long prompts so, and answers the others."""

    def script(body: dict[str, Any]) -> tuple[int, Any]:
        refused = "TOO LONG" in body["messages"][0]["content"]
        return (status, answer) if refused else (200, completion(PROGRAM))

    return script


def debug(store: Store, url: str, concurrency: int, **client: Any) -> None:
    asked = {"kind": "openai", "model": "m", "base_url": url, "max_attempts": 2, "concurrency": concurrency}
    values = {
        "client": asked | client,
        "debugging": {"max_iterations": 0, "concurrency": concurrency},
        "sandbox": {"workers": 1},
    }  # fmt: skip
    pipeline.debug(OpenedRun(store, parse_config(values)))


def what_stopped(store: Store, url: str, concurrency: int, **client: Any) -> str:
    """Why debugging stopped before its end; "" where it did not."""
    try:
        debug(store, url, concurrency, **client)
    except EndpointError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("concurrency", "status", "answer"),
    [
        pytest.param(8, 400, TOO_LONG, id="400 at 8"),
        pytest.param(256, 400, TOO_LONG, id="400 at 256"),
        pytest.param(8, 413, b"<html>Payload Too Large</html>", id="413"),
        pytest.param(8, 422, {"error": {"message": "input is not valid"}}, id="422"),
        pytest.param(8, 500, TOO_LONG, id="500 that is about the context"),
        pytest.param(8, 403, {"error": {"message": "flagged by moderation"}}, id="403 that is about the text"),
        pytest.param(8, 200, completion("I", finish_reason="content_filter"), id="content filter"),
    ],
)  # fmt: skip
def test_defect_15_refused_requests_are_their_own_dead_letters(
    store: Store, concurrency: int, status: int, answer: Any
) -> None:
    """In one run: everything that can be answered is, and each refused request is asked once."""
    with Scripted(refusing(status, answer)) as endpoint:
        assert what_stopped(store, endpoint.url, concurrency) == ""
        assert (store.count("trajectories"), store.count("dead_letters")) == (GOOD, LONG)
        assert endpoint.requests == GOOD + LONG
        debug(store, endpoint.url, concurrency)
        assert endpoint.requests == GOOD + LONG, "a dead letter is not asked again"


@pytest.mark.parametrize("whole", [False, True], ids=["its line", "the whole batch, naming lines"])
def test_defect_15_what_a_batch_refuses_is_a_dead_letter(store: Store, whole: bool) -> None:
    with BatchServer(refusing(400, TOO_LONG)) as server:
        if whole:
            refuse_whole_batches(server)
        assert what_stopped(store, server.url, 64, batch=True, batch_poll_s=0.02) == ""
        assert (store.count("trajectories"), store.count("dead_letters")) == (GOOD, LONG)
        sizes = [len(batch) for batch in server.batches]
        assert sizes == ([GOOD + LONG, GOOD] if whole else [GOOD + LONG]), "refused requests go into no further batch"


def refuse_whole_batches(server: BatchServer) -> None:
    """As OpenAI does with a file that holds a line it doesn't take: nothing is answered, and the lines are named."""
    answer = server._batch

    def batch(number: int) -> dict[str, Any]:
        lines = [i for i, row in enumerate(server.batches[number], 1) if "TOO LONG" in str(row["body"])]
        if not lines:
            return answer(number)
        wrong = [{"code": "invalid", "line": line, "message": "too long", "param": None} for line in lines]
        refused = {"status": "failed", "output_file_id": None, "errors": {"object": "list", "data": wrong}}
        return answer(number) | refused

    server._batch = batch  # type: ignore[method-assign]


def test_a_parameter_that_a_batch_refuses_is_left_out(tmp_path: Path) -> None:
    def picky(body: dict[str, Any]) -> tuple[int, Any]:
        said = {"error": {"message": "Unsupported parameter: 'max_tokens' is not supported", "param": "max_tokens"}}
        return (400, said) if "max_tokens" in body else (200, completion(PROGRAM))

    with Store.open(tmp_path / "other") as store, BatchServer(picky) as server:
        store.put_tasks(playground_tasks("train", 5))
        with pytest.warns(RuntimeWarning, match="refuses max_tokens"):
            debug(store, server.url, 64, batch=True, batch_poll_s=0.02)
        assert (store.count("trajectories"), store.count("dead_letters")) == (5, 0)
        assert [len(batch) for batch in server.batches] == [5, 5]


@pytest.mark.parametrize(
    ("status", "message"),
    [(401, "no"), (403, "no access"), (404, "no model m"), (400, "API key not valid"), (400, "invalid model")],
)
def test_what_speaks_of_the_endpoint_stops_at_once(store: Store, status: int, message: str) -> None:
    with Scripted(lambda _: (status, {"error": {"message": message}})) as endpoint:
        with pytest.raises(EndpointError, match=message):
            debug(store, endpoint.url, 8)
        assert endpoint.requests <= 8
    assert store.count("dead_letters") == 0


def test_defect_15_refusals_between_faults_are_not_counted_as_faults(store: Store) -> None:
    """Seven calls given up and twelve refused: no eight in a row that speak of the endpoint."""

    def moody(body: dict[str, Any]) -> tuple[int, Any]:
        text = body["messages"][0]["content"]
        return (400, TOO_LONG) if "TOO LONG" in text else (500, {"error": {"message": "oops"}})

    settings = OpenAIConfig(model="m", max_attempts=1)
    with Scripted(moody) as endpoint:
        settings = settings.model_copy(update={"base_url": endpoint.url})
        ledger = Ledger(OpenAIClient(settings), store, Budget(BudgetConfig(), store), settings.price())

        async def one_by_one() -> list[Any]:
            tasks = list(store.tasks())
            prompts = [task.prompt for task in [*tasks[:LONG], *tasks[LONG : LONG + 7]]]
            asked = [Request(messages=as_messages(prompt)) for prompt in prompts]
            return [(await asyncio.gather(ledger.complete(r), return_exceptions=True))[0] for r in asked]

        errors = asyncio.run(one_by_one())
    assert {isinstance(error, ClientError) and not isinstance(error, EndpointError) for error in errors} == {True}
    assert store.count("dead_letters") == LONG + 7


def test_a_prompt_that_a_model_here_can_not_hold_is_refused_alone(random_model: Path) -> None:
    from iterpref.clients.local.client import LocalClient

    client = LocalClient(random_model)
    try:
        with pytest.raises(ClientError, match="does not fit") as raised:
            asyncio.run(client.complete(Request(messages=(Message(role="user", content="x" * 500),))))
    finally:
        client.close()
    assert not isinstance(raised.value, EndpointError)
