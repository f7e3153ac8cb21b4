"""How the tests of the live viewer ask it: without a network, or a real one on a port of this machine."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from fastapi.testclient import TestClient

from iterpref.viewer.live import ViewSettings, viewer_app

HOME = "http://127.0.0.1:8081"


def reader(run: Path, **given: Any) -> TestClient:
    """A reader's browser, as far as requests go."""
    return TestClient(viewer_app(ViewSettings(run, **given)), base_url=HOME)


@contextmanager
def serving(run: Path, **given: Any) -> Iterator[str]:
    """A real server; its address."""
    server = uvicorn.Server(uvicorn.Config(viewer_app(ViewSettings(run, **given)), port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = server.force_exit = True
    thread.join()
