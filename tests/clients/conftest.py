"""The real server of the slow tests: `transformers serve` with the playground's coder."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

# Bounded, or continuous batching takes all memory. float32: batches of other shapes must not flip a greedy token.
OPTIONS = "--device cpu --dtype float32 --continuous-batching --cb-num-blocks 256 --cb-block-size 32"


@pytest.fixture(scope="session")
def coder_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Port of an OpenAI-compatible server; its model's name is `playground.coder.coder_path()`."""
    from iterpref.playground.coder import coder_path

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = [str(Path(sys.executable).with_name("transformers")), "serve", *OPTIONS.split()]
    command += ["--cb-max-batch-tokens", "1024", "--host", "127.0.0.1", "--port", str(port), str(coder_path())]
    log = tmp_path_factory.mktemp("server") / "log"
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with log.open("w") as output:
        server = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
    try:
        deadline = time.monotonic() + 500
        while not _healthy(port):
            assert server.poll() is None, f"the server ended: {log.read_text()[-2000:]}"
            assert time.monotonic() < deadline, "the server doesn't start"
            time.sleep(0.2)
        yield port
    finally:
        server.terminate()
        server.wait(300)


def _healthy(port: int) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as reply:
        return bool(reply.status == 200)
    return False
