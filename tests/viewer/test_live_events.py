"""The overview over a real connection, while another process writes; and the command with its port."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import httpx2
import pytest

pytest.importorskip("fastapi")
from live_runs import serving
from small_run import RIGHT, passed, put_trajectory, task, trajectory

from iterpref.store import Store

Fill = Callable[[], Store]


def parts(lines: Iterator[str]) -> Iterator[str]:
    data: list[str] = []
    for line in lines:
        if line.startswith("data:"):
            data.append(line[5:])
        elif not line and data:
            yield "\n".join(data)
            data = []


def test_the_overview_follows_the_run(fill: Fill) -> None:
    store = fill()
    with serving(store.folder) as url, httpx2.stream("GET", f"{url}/events", timeout=60) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        found = parts(answer.iter_lines())
        assert "of 4 finished" in next(found)
        store.put_tasks([task(5)])
        put_trajectory(store, trajectory("own/5", (RIGHT, passed())))
        assert any("of 5 finished" in part for part, _ in zip(found, range(5), strict=False))


def test_the_stream_says_that_the_run_is_gone(fill: Fill) -> None:
    store = fill()
    with serving(store.folder) as url, httpx2.stream("GET", f"{url}/events", timeout=60) as answer:
        found = parts(answer.iter_lines())
        next(found)
        (store.folder / "run.sqlite").rename(store.folder / "away")
        assert "no run here" in next(found)
        (store.folder / "away").rename(store.folder / "run.sqlite")
        assert "of 4 finished" in next(found)


def test_the_command_serves_says_where_and_ends(fill: Fill) -> None:
    store = fill()
    command = [sys.executable, "-m", "iterpref", "view", str(store.folder), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as viewer:
        assert viewer.stderr is not None
        line = viewer.stderr.readline()
        url = line.split("open ")[1].split(" ")[0]
        assert "own/1" in httpx2.get(f"{url}tasks", timeout=60).text
        with httpx2.stream("GET", f"{url}events", timeout=60) as stream:  # a reader who stays must not hold it
            lines = stream.iter_lines()
            next(lines)
            began = time.monotonic()
            viewer.send_signal(signal.SIGINT)
            for _ in lines:
                pass
        assert viewer.wait(30) in (0, -signal.SIGINT, 130) and time.monotonic() - began < 20


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--host", "0.0.0.0"], "give a token"),
        (["--beside", "nowhere"], "no run here"),
        (["--port", "99999"], "choose another --port"),
    ],
)
def test_commands_that_are_refused(fill: Fill, more: list[str], said: str) -> None:
    store = fill()
    done = subprocess.run(
        [sys.executable, "-m", "iterpref", "view", str(store.folder), *more],
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 1 and said in done.stderr and "Traceback" not in done.stderr


def test_a_port_in_use_is_named(fill: Fill) -> None:
    store = fill()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "iterpref", "view", str(store.folder), "--port", port]
        done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 1 and f"127.0.0.1 port {port}:" in done.stderr and "Address already in use" in done.stderr
