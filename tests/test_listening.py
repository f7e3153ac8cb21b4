"""A server ends at a signal, whenever it comes."""

import asyncio
import signal
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from iterpref.listening import listen, serve_until_signal


async def nothing(scope: Any, receive: Any, send: Any) -> None: ...


class Interrupted(uvicorn.Server):
    """A server that gets a signal right before it begins to listen for signals."""

    def __init__(self, number: int) -> None:
        super().__init__(uvicorn.Config(nothing, log_level="error", lifespan="off"))
        self._number = number

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        signal.raise_signal(self._number)
        super().run(sockets)


@pytest.fixture
def handlers() -> Iterator[None]:
    """Those of the tests' own process, put back."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_comes_early_is_not_lost(number: int, handlers: None, capsys: pytest.CaptureFixture[str]) -> None:
    serve_until_signal(Interrupted(number), listen("127.0.0.1", 0, 8), "here")
    assert capsys.readouterr().err.splitlines() == ["here", "stopped"]


@pytest.mark.timeout(60)
def test_a_request_that_is_cut_short_is_no_error(handlers: None, capsys: pytest.CaptureFixture[str]) -> None:
    """Without the cut the request would take ten minutes; uvicorn tells such an end with a traceback."""

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        server.should_exit = True
        await asyncio.sleep(600)

    settings = uvicorn.Config(slow, log_level="error", lifespan="off", timeout_graceful_shutdown=1)
    server, listening = uvicorn.Server(settings), listen("127.0.0.1", 0, 8)
    asking = threading.Thread(target=ask, args=listening.getsockname())
    asking.start()
    serve_until_signal(server, listening, "here")
    asking.join()
    assert capsys.readouterr().err.splitlines() == ["here", "stopped"]


def ask(host: str, port: int) -> None:
    with socket.create_connection((host, port)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        connection.recv(1)
