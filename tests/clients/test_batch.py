import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from endpoints import BatchServer, Scripted, completion

from iterpref.clients import Completion, Request, Sampling
from iterpref.clients.openai import OpenAIConfig
from iterpref.clients.openai import batch as batch_module
from iterpref.clients.openai import failures as failures_module
from iterpref.clients.openai.batch import BatchClient
from iterpref.errors import ClientError, EndpointError
from iterpref.records import Message, fingerprint


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_module, "QUIET_S", 0.05)
    monkeypatch.setattr(failures_module, "FIRST_WAIT_S", 0.01)


def request(name: str, index: int = 0) -> Request:
    return Request(messages=(Message(role="user", content=name),), sampling=Sampling(temperature=1), sample_index=index)


def client(url: str, folder: Path) -> BatchClient:
    settings = OpenAIConfig(model="m", base_url=url, batch=True, batch_poll_s=0.02, max_attempts=3)
    return BatchClient(settings, folder)


def ask(asked: BatchClient, *requests: Request) -> list[Any]:
    async def together() -> list[Any]:
        return await asyncio.gather(*(asked.complete(r) for r in requests), return_exceptions=True)

    return asyncio.run(together())


def echo(body: dict[str, Any]) -> tuple[int, Any]:
    return 200, completion(body["messages"][0]["content"].upper())


def test_what_is_asked_together_is_one_batch(tmp_path: Path) -> None:
    with BatchServer(echo) as server:
        answers = ask(client(server.url, tmp_path), request("a"), request("b"), request("b", 1), request("a"))
        assert [a.text for a in answers] == ["A", "B", "B", "A"]
        assert [len(batch) for batch in server.batches] == [3]  # equal requests are one
        assert {line["body"]["model"] for line in server.batches[0]} == {"m"}
    assert list(tmp_path.glob("*.json")) == []


def test_a_file_of_answers_is_read_line_by_line(tmp_path: Path) -> None:
    """Lines end at newlines alone, and come in parts: one is longer than what is read at once."""
    texts = ["a\u2028b\u0085c", "d" * 300_000, "e"]
    with BatchServer(echo) as server:
        answers = ask(client(server.url, tmp_path), *map(request, texts))
    assert [a.text for a in answers] == [text.upper() for text in texts]


def test_a_download_that_breaks_off_is_made_again(tmp_path: Path) -> None:
    with BatchServer(echo) as server:
        server.cuts = 2
        answers = ask(client(server.url, tmp_path), request("a"), request("b"))
        assert [a.text for a in answers] == ["A", "B"]
        assert [len(batch) for batch in server.batches] == [2], "the batch itself is not"


def test_a_wave_of_more_than_a_batch_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_module, "MOST_REQUESTS", 2)
    with BatchServer(echo) as server:
        answers = ask(client(server.url, tmp_path), *map(request, "abcde"))
        assert [len(batch) for batch in server.batches] == [2, 2, 1]
    assert [a.text for a in answers] == list("ABCDE")


def test_waves_follow_one_another(tmp_path: Path) -> None:
    """Two tasks of two iterations each: a batch an iteration."""

    async def task(asked: BatchClient, name: str) -> list[str]:
        first = await asked.complete(request(name))
        return [first.text, (await asked.complete(request(f"{name} again"))).text]

    async def both(asked: BatchClient) -> list[list[str]]:
        return await asyncio.gather(task(asked, "a"), task(asked, "b"))

    with BatchServer(echo) as server:
        assert asyncio.run(both(client(server.url, tmp_path))) == [["A", "A AGAIN"], ["B", "B AGAIN"]]
        assert [len(batch) for batch in server.batches] == [2, 2]


def test_only_failures_are_submitted_again(tmp_path: Path) -> None:
    seen: list[str] = []

    def moody(body: dict[str, Any]) -> tuple[int, Any] | None:
        name = body["messages"][0]["content"]
        seen.append(name)
        if name == "never":
            return 500, {"error": "oops"}
        if name == "lost" and seen.count("lost") == 1:
            return None
        return echo(body)

    with BatchServer(moody) as server:
        good, lost, never = ask(client(server.url, tmp_path), request("good"), request("lost"), request("never"))
        assert (good.text, lost.text) == ("GOOD", "LOST")
        assert isinstance(never, ClientError)
        assert "oops" in str(never)
        assert "in 3 batches" in str(never)
        assert [len(batch) for batch in server.batches] == [3, 2, 1]


def test_a_killed_command_finds_its_batch_again(tmp_path: Path) -> None:
    async def killed(asked: BatchClient) -> None:
        waiting = [asyncio.create_task(asked.complete(request(name))) for name in "ab"]
        while not list(tmp_path.glob("*.json")):
            await asyncio.sleep(0.01)
        for task in waiting:
            task.cancel()

    with BatchServer(echo, looks=3) as server:
        asyncio.run(killed(client(server.url, tmp_path)))
        assert len(list(tmp_path.glob("*.json"))) == 1
        answers = ask(client(server.url, tmp_path), request("a"), request("b"), request("c"))
        assert [a.text for a in answers] == ["A", "B", "C"]
        assert [len(batch) for batch in server.batches] == [2, 1]  # a and b were not paid for twice


@pytest.mark.parametrize("others", [0, 3], ids=["alone", "on a later page of the list"])
def test_killed_between_creating_a_batch_and_noting_its_name(tmp_path: Path, others: int) -> None:
    """The window in which a batch exists and nobody here knows its name."""

    async def killed(asked: BatchClient, server: BatchServer) -> None:
        waiting = [asyncio.create_task(asked.complete(request(name))) for name in "ab"]
        while not server.batches:
            await asyncio.sleep(0.01)
        for task in waiting:
            task.cancel()

    with BatchServer(echo) as server:
        server.after_create = "hang"
        asyncio.run(killed(client(server.url, tmp_path), server))
        assert [note.suffix for note in tmp_path.iterdir()] == [".intent"]
        server.after_create = ""
        for number in range(others):  # of other commands
            server.batches.append([])
            server.metadata.append({"iterpref_intent": f"other {number}"})
        answers = ask(client(server.url, tmp_path), request("a"), request("b"))
        assert [a.text for a in answers] == ["A", "B"]
        assert [len(batch) for batch in server.batches] == [2] + [0] * others  # nothing was submitted again
    assert list(tmp_path.iterdir()) == []


def test_killed_before_the_batch_was_created(tmp_path: Path) -> None:
    async def names() -> str:
        asked = client("http://127.0.0.1:9/v1", tmp_path)
        return fingerprint([asked._body(request("a")), 0])

    (tmp_path / "key.intent").write_text(json.dumps([asyncio.run(names())]))
    (tmp_path / "later.intent").write_text(json.dumps(["of another wave"]))
    with BatchServer(echo) as server:
        [answer] = ask(client(server.url, tmp_path), request("a"))
        assert answer.text == "A"
        assert [len(batch) for batch in server.batches] == [1]
    assert [note.name for note in tmp_path.iterdir()] == ["later.intent"]


def test_a_lost_answer_to_creating_a_batch_creates_no_second(tmp_path: Path) -> None:
    with BatchServer(echo) as server:
        server.after_create = "500"
        [answer] = ask(client(server.url, tmp_path), request("a"))
        assert answer.text == "A"
        assert [len(batch) for batch in server.batches] == [1]


def test_an_intent_that_nobody_can_settle(tmp_path: Path) -> None:
    asked = client("http://127.0.0.1:9/v1", tmp_path)
    (tmp_path / "key.intent").write_text(json.dumps([fingerprint([asked._body(request("a")), 0])]))
    with Scripted(lambda _: (404, {})) as server:
        server.handle = _not_found  # type: ignore[method-assign]
        [answer] = ask(client(server.url, tmp_path), request("a"))
    assert isinstance(answer, EndpointError)
    assert "look for it there, and delete" in str(answer)
    assert (tmp_path / "key.intent").is_file()


def test_a_server_without_batches(tmp_path: Path) -> None:
    with Scripted(lambda _: (404, {})) as server:
        server.handle = _not_found  # type: ignore[method-assign]
        [answer] = ask(client(server.url, tmp_path), request("a"))
    assert isinstance(answer, EndpointError)
    assert "batch: status 404" in str(answer)


async def _not_found(head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
    from endpoints import response

    writer.write(response(404, b'{"error": {"message": "no such path"}}'))


def test_the_answer_is_a_completion(tmp_path: Path) -> None:
    with BatchServer(echo) as server:
        [answer] = ask(client(server.url, tmp_path), request("a"))
    assert answer == Completion(text="A", prompt_tokens=10, completion_tokens=5)
