"""Replies and errors word for word as real servers gave them, and connections that they keep alive."""

import asyncio
import gc
import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from endpoints import Scripted, completion

from iterpref.clients import Request, Sampling
from iterpref.clients.openai import OpenAIConfig
from iterpref.clients.openai.client import OpenAIClient
from iterpref.errors import EndpointError
from iterpref.records import Message

REQUEST = Request.from_user("double x", Sampling(temperature=0))
BEGUN = Request(messages=(*REQUEST.messages, Message(role="assistant", content="```python\n")))


def transformers_serve(body: dict[str, Any]) -> tuple[int, Any]:
    """`transformers serve` 5.23 with one model; FastAPI's errors are in `detail`."""
    known = {"model", "messages", "temperature", "top_p", "max_tokens", "seed", "stop"}
    if body["model"] != "m":
        return 400, {"detail": f"Server is pinned to 'm'; requested '{body['model']}'."}
    if unexpected := set(body) - known:
        return 422, {"detail": f"Unexpected fields in the request: {unexpected}"}
    return 200, completion("x = 1")


def ask(url: str, request: Request, **settings: Any) -> str:
    client = OpenAIClient(OpenAIConfig(**{"model": "m", "base_url": url, **settings}))
    return asyncio.run(client.complete(request)).text


def test_defect_a_server_that_can_not_continue_a_turn() -> None:
    """One clear message, where every task of a benchmark was refused and counted as failed."""
    with Scripted(transformers_serve) as endpoint:
        with pytest.raises(EndpointError, match=r"Unexpected fields.*; ask without a begun turn"):
            ask(endpoint.url, BEGUN)
        assert endpoint.requests == 1
        assert ask(endpoint.url, BEGUN, prefill="plain") == "x = 1"
        assert ask(endpoint.url, REQUEST) == "x = 1"


def test_defect_a_server_of_one_other_model() -> None:
    with (
        Scripted(transformers_serve) as endpoint,
        pytest.raises(
            EndpointError, match=r"status 400: Server is pinned to 'm'; requested 'n'\.; check .*client\.model"
        ),
    ):
        ask(endpoint.url, REQUEST, model="n")


class KeepsAlive(http.server.BaseHTTPRequestHandler):
    """As uvicorn, behind which most servers are: connections stay open between requests."""

    protocol_version = "HTTP/1.1"
    open_connections = 0

    def setup(self) -> None:
        super().setup()
        type(self).open_connections += 1

    def finish(self) -> None:
        super().finish()
        type(self).open_connections -= 1

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps(completion("x = 1")).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def keeps_alive() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), KeepsAlive) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()


def test_defect_connections_of_an_earlier_step(keeps_alive: str, caplog: pytest.LogCaptureFixture) -> None:
    """They are closed in the loop they were made in; collected in a later one, they left tracebacks there."""

    async def again() -> None:
        gc.collect()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        gc.collect()

    assert ask(keeps_alive, REQUEST) == "x = 1"
    asyncio.run(again())
    assert "Event loop is closed" not in caplog.text
