"""What a client does is told while a stage waits for it, and what it tells adds up."""

import threading
from pathlib import Path

import pytest

from iterpref import pipeline
from iterpref.clients.activity import Activity, told
from iterpref.clients.base import Completion, Request
from iterpref.clients.local.meter import Meter
from iterpref.config.load import parse_config
from iterpref.opened_run import OpenedRun
from iterpref.progress import ProgressBars
from iterpref.store import Store


class Silent:
    name = "silent"

    async def complete(self, request: Request) -> Completion:
        return Completion(text="")

    def close(self) -> None:
        pass


class Talking(Silent):
    def __init__(self) -> None:
        self.asked = threading.Event()

    def activity(self) -> Activity | None:
        self.asked.set()
        return Activity(1, 3, "busy")


def test_a_client_is_asked_again_and_again_until_the_work_is_over() -> None:
    client, heard = Talking(), list[Activity]()
    enough = threading.Event()

    def tell(activity: Activity) -> None:
        heard.append(activity)
        if len(heard) == 3:
            enough.set()

    with told(client, tell, every_s=0.001):
        assert enough.wait(30)
    count = len(heard)
    client.asked.clear()
    assert not client.asked.wait(0.05), "it is asked no more"
    assert len(heard) == count and heard[0] == Activity(1, 3, "busy")


def test_a_client_that_says_nothing_costs_no_thread() -> None:
    before = threading.active_count()
    with told(Silent(), lambda activity: None):
        assert threading.active_count() == before


def test_rates_are_of_the_last_seconds_and_the_rest_is_told_from_the_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    meter = Meter()
    meter.asked = 10
    assert meter.activity(0, 4, 6) == Activity(0, 10, "0 tokens/s, 4 running, 6 waiting")
    now[0] += 10
    meter.answered = 2
    assert meter.activity(500, 4, 4) == Activity(2, 10, "50 tokens/s, 4 running, 4 waiting, about 0:00:40 left")
    now[0] += 30
    slow = meter.activity(530, 4, 4)
    assert slow and slow.note.startswith("1 tokens/s"), "of the last seconds, not since it began"
    assert meter.activity(530, 0, 0) is None
    now[0] += 1000
    again = meter.activity(530, 1, 0)
    assert again and again.note.startswith("0 tokens/s, 1 running"), "the idle time before is not counted"


def test_decoding_is_told_without_a_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("iterpref.clients.activity.EVERY_S", 0.01)
    monkeypatch.setattr("iterpref.progress.LINE_EVERY_S", 0.01)
    config = parse_config({"evaluation": {"tasks": 6}, "sandbox": {"min_isolation": "rlimits"}})
    with Store.open(tmp_path / "run") as store, ProgressBars() as bars:
        pipeline.evaluate(OpenedRun(store, config, bars), "playground")
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("decode: ")]
    assert lines and all("tokens/s" in line and "running" in line and "waiting" in line for line in lines)
    done, total = lines[-1].split()[1].split("/")
    assert int(done) <= int(total) == 6
