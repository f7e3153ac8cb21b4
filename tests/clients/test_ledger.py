import asyncio
import gc
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from iterpref.clients import Client, Completion, Ledger, Request, Sampling
from iterpref.clients.replay import ReplayClient
from iterpref.errors import ClientError
from iterpref.records import Message
from iterpref.store import Store

HELLO = (Message(role="user", content="hello"),)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "run") as opened:
        yield opened


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "recording.jsonl"
    line = {"messages": [{"role": "user", "content": "hello"}], "completions": ["a", "b"]}
    path.write_text(json.dumps(line) + "\n\n")
    return path


class Counted(ReplayClient):
    """The replay client, counting what it is asked."""

    asked = 0

    async def complete(self, request: Request) -> Completion:
        self.asked += 1
        await asyncio.sleep(0.01)
        return await super().complete(request)


def call(ledger: Ledger, *requests: Request) -> list[str]:
    async def all_at_once() -> list[str]:
        return [done[1].text for done in await asyncio.gather(*(ledger.complete(r) for r in requests))]

    return asyncio.run(all_at_once())


def test_a_repeated_call_costs_nothing(store: Store, recording: Path) -> None:
    client = Counted(recording)
    ledger = Ledger(client, store)
    first, second = Request(messages=HELLO), Request(messages=HELLO, sample_index=1)
    assert call(ledger, first, second) == ["a", "b"]
    assert call(Ledger(client, store), first, second) == ["a", "b"]
    assert (client.asked, ledger.paid, store.count("calls")) == (2, 2, 2)


def test_equal_calls_at_the_same_time_are_one(store: Store, recording: Path) -> None:
    client = Counted(recording)
    assert call(Ledger(client, store), *[Request(messages=HELLO)] * 5) == ["a"] * 5
    assert client.asked == 1


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"messages": (Message(role="user", content="hi"),)}, False),
        ({"sampling": Sampling(temperature=0.7)}, False),
        ({"sampling": Sampling(seed=1)}, False),
        ({"sample_index": 1}, False),
        ({}, True),
    ],
)
def test_the_key_covers_what_decides_the_answer(store: Store, recording: Path, change: dict, same: bool) -> None:
    ledger = Ledger(ReplayClient(recording), store)
    request = Request(messages=HELLO)
    assert (ledger.key(request.model_copy(update=change)) == ledger.key(request)) is same


def test_greedy_calls_ignore_seed_and_sample(store: Store, recording: Path) -> None:
    ledger = Ledger(ReplayClient(recording), store)
    greedy = Request(messages=HELLO, sampling=Sampling(temperature=0))
    other = Request(messages=HELLO, sampling=Sampling(temperature=0, seed=5), sample_index=3)
    assert ledger.key(greedy) == ledger.key(other)


def test_a_failed_call_is_not_stored(store: Store, recording: Path) -> None:
    ledger = Ledger(ReplayClient(recording), store)
    with pytest.raises(ClientError, match="sample 2 of the request that ends with 'hello' is not recorded"):
        call(ledger, Request(messages=HELLO, sample_index=2))
    assert store.count("calls") == 0


def test_an_error_that_nobody_waits_for_any_more_is_not_printed(store: Store, recording: Path) -> None:
    """The waiter goes (another call stopped the stage) before its call fails."""

    async def stopped_first() -> list[str]:
        printed: list[str] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: printed.append(context["message"]))
        ledger = Ledger(Counted(recording), store)
        waiter = asyncio.ensure_future(ledger.complete(Request(messages=HELLO, sample_index=2)))
        await asyncio.sleep(0)
        waiter.cancel()
        await asyncio.gather(waiter, return_exceptions=True)
        await asyncio.sleep(0.1)
        gc.collect()
        return printed

    assert asyncio.run(stopped_first()) == []


class Endless(Client):
    """Answers no call, and notes which were stopped."""

    name = "endless"

    def __init__(self) -> None:
        self.stopped: list[int] = []

    async def complete(self, request: Request) -> Completion:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)  # as an HTTP client closes its connection
            self.stopped.append(request.sample_index)
        raise AssertionError


def test_a_call_that_nobody_waits_for_any_more_is_ended(store: Store) -> None:
    """Before the stage ends: the event loop's end cancels an HTTP client's own tasks, too, which they don't survive."""
    client = Endless()

    async def stopped() -> list[int]:
        ledger = Ledger(client, store)
        waiters = [asyncio.ensure_future(ledger.complete(Request(messages=HELLO, sample_index=i))) for i in (0, 0, 1)]
        await asyncio.sleep(0.01)
        waiters[0].cancel()
        waiters[2].cancel()
        await asyncio.gather(waiters[0], waiters[2], return_exceptions=True)
        ended = list(client.stopped)
        waiters[1].cancel()
        await asyncio.gather(waiters[1], return_exceptions=True)
        return ended

    assert asyncio.run(stopped()) == [1]
    assert client.stopped == [1, 0]


def test_a_call_that_was_ended_may_be_asked_again_at_once(store: Store, recording: Path) -> None:
    async def again() -> str:
        ledger = Ledger(Counted(recording), store)
        waiter = asyncio.ensure_future(ledger.complete(Request(messages=HELLO)))
        await asyncio.sleep(0)
        waiter.cancel()
        return (await ledger.complete(Request(messages=HELLO)))[1].text

    assert asyncio.run(again()) == "a"


def test_a_line_may_hold_other_line_separators(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    line = {"messages": [{"role": "user", "content": "hello"}], "completions": ["a\u2028b"]}
    path.write_text(json.dumps(line, ensure_ascii=False))
    assert call(Ledger(ReplayClient(path), store), Request(messages=HELLO)) == ["a\u2028b"]


def test_a_malformed_recording_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text('{"messages": [], "completions": []}\n{"messages": 3}\n')
    with pytest.raises(ClientError, match=r"r\.jsonl:2: not a recorded call"):
        ReplayClient(path)
    with pytest.raises(ClientError, match="can't read this recording"):
        ReplayClient(tmp_path / "absent.jsonl")
