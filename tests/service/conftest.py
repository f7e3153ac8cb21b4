"""Real services: uvicorn on a port of this machine, with a real sandbox behind it."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")
import uvicorn
from services import Start

from iterpref.sandbox import Sandbox
from iterpref.service import ServiceSettings, service_app


@contextmanager
def _running(workers: int, settings: ServiceSettings) -> Iterator[str]:
    config = uvicorn.Config(service_app(Sandbox(workers), settings), port=0, log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    """Start a service of the given workers and settings, until the module's tests have run; returns its address."""
    with ExitStack() as stack:
        yield lambda workers=2, **given: stack.enter_context(_running(workers, ServiceSettings(**given)))


@pytest.fixture(scope="module")
def url(start: Start) -> str:
    """A service of two workers with the default settings."""
    return start()
