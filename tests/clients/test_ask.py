"""`ask_all`: drawn lazily, never more at a time than the client asks for, and a Batch API gets one wave."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from endpoints import BatchServer, Scripted, completion

from iterpref.clients import Completion, Ledger, Request, ask_all, open_ledger
from iterpref.clients.ask import as_finished
from iterpref.clients.openai import OpenAIConfig
from iterpref.clients.openai import batch as batch_module
from iterpref.config import DebuggingConfig, SynthesisConfig
from iterpref.debugging.debug import debug
from iterpref.debugging.debugger import Debugger
from iterpref.errors import BudgetError, ClientError, EndpointError
from iterpref.executor import Executor
from iterpref.pairing.judge_pairs import judge_pairs
from iterpref.playground.tasks import playground_tasks
from iterpref.programs import fenced
from iterpref.records import Message, PreferencePair
from iterpref.sandbox import Sandbox
from iterpref.store import Store
from iterpref.synthesis.synthesize import Synthesizer


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "run") as opened:
        yield opened


def request(text: str) -> Request:
    return Request(messages=(Message(role="user", content=text),))


class Counting:
    """A client that says what it is asked, a little later, and counts the calls in flight."""

    name = "counting"

    def __init__(self, errors: dict[str, Exception] | None = None) -> None:
        self.in_flight = self.most = self.asked = 0
        self._errors = errors or {}

    async def complete(self, request: Request) -> Completion:
        text = request.messages[0].content
        self.asked += 1
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        try:
            await asyncio.sleep(0.001)
            if text in self._errors:
                raise self._errors[text]
        finally:
            self.in_flight -= 1
        return Completion(text=text)

    def close(self) -> None: ...


def answers(ledger: Ledger, texts: list[str]) -> dict[str, Completion | ClientError]:
    async def collect() -> dict[str, Completion | ClientError]:
        return {text: answer async for text, answer in ask_all(ledger, ((text, request(text)) for text in texts))}

    return asyncio.run(collect())


@pytest.mark.parametrize(("at_a_time", "most"), [(1, 1), (7, 7), (None, 50)])
def test_no_more_at_a_time_than_wanted(store: Store, at_a_time: int | None, most: int) -> None:
    client = Counting()
    given = answers(Ledger(client, store, at_a_time=at_a_time), [str(i) for i in range(50)])
    assert {text: answer.text for text, answer in given.items()} == {str(i): str(i) for i in range(50)}
    assert client.most == most


def test_a_failed_call_is_given_back(store: Store) -> None:
    given = answers(Ledger(Counting({"b": ClientError("too long")}), store), ["a", "b", "c"])
    assert isinstance(given["b"], ClientError)
    assert [type(given[text]) for text in "ac"] == [Completion, Completion]


def test_an_endpoint_of_no_use_ends_it(store: Store) -> None:
    client = Counting({"2": EndpointError("refused key")})
    with pytest.raises(EndpointError, match="refused key"):
        answers(Ledger(client, store, at_a_time=2), [str(i) for i in range(50)])
    assert client.asked < 10


def test_a_used_up_budget_starts_nothing_and_loses_nothing(store: Store) -> None:
    client = Counting({"2": BudgetError("budget reached")})
    given = []

    async def collect() -> None:
        async for text, _ in ask_all(
            Ledger(client, store, at_a_time=4), ((str(i), request(str(i))) for i in range(50))
        ):
            given.append(text)

    with pytest.raises(BudgetError, match="budget reached"):
        asyncio.run(collect())
    assert client.asked == store.count("calls") + 1
    assert len(given) == store.count("calls") < 10


def test_what_is_asked_is_drawn_when_there_is_room() -> None:
    """Of 100,000 coroutines never more than 64 exist that have not ended."""
    drawn = ended = ahead = 0

    async def one(number: int) -> int:
        nonlocal ended
        await asyncio.sleep(0)
        ended += 1
        return number

    def work() -> Iterator[Any]:
        nonlocal drawn, ahead
        for number in range(100_000):
            drawn += 1
            ahead = max(ahead, drawn - ended)
            yield one(number)

    async def count() -> int:
        return sum([1 async for _ in as_finished(work(), 64)])

    assert asyncio.run(count()) == 100_000
    assert ahead == 64


def test_concurrency_reaches_the_server(store: Store) -> None:
    most = in_flight = 0

    class Slow(Scripted):
        async def handle(self, *given: Any) -> None:
            nonlocal most, in_flight
            in_flight += 1
            most = max(most, in_flight)
            await asyncio.sleep(0.3)  # long beside what a request costs here, however busy the machine
            await super().handle(*given)
            in_flight -= 1

    with Slow(lambda _: (200, completion("a"))) as server:
        settings = OpenAIConfig(base_url=server.url, concurrency=150)
        with open_ledger(settings, store) as ledger:
            assert ledger.at_a_time == 150
            assert len(answers(ledger, [str(i) for i in range(400)])) == 400
    assert most > 64


def test_several_addresses_share_the_load() -> None:
    addresses = ("http://a/v1", "http://b/v1")
    assert OpenAIConfig(base_url=addresses, concurrency=150).at_a_time == 300
    assert OpenAIConfig(base_url=addresses, batch=True).at_a_time is None


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> OpenAIConfig:
    monkeypatch.setattr(batch_module, "QUIET_S", 0.3)
    return OpenAIConfig(model="m", batch=True, batch_poll_s=0.02)


def test_a_judge_of_batches_gets_one_wave(store: Store, batches: OpenAIConfig) -> None:
    common = {"prompt": "p", "chosen_spans": (), "rejected_spans": (), "diff": "lcs", "diff_version": 1}
    pairs = [
        PreferencePair(pair_id=f"{i}", task_id="t", chosen=f"{i}", rejected="", render_template="", **common)
        for i in range(150)
    ]
    with BatchServer(lambda _: (200, completion('{"logical": true, "reason": "r"}'))) as server:
        settings = batches.model_copy(update={"base_url": server.url})
        with open_ledger(settings, store) as ledger:
            progress = asyncio.run(judge_pairs(pairs, ledger, store))
        assert (progress.judged, [len(batch) for batch in server.batches]) == (150, [150])


def test_synthesis_by_batches_is_one_wave(store: Store, batches: OpenAIConfig) -> None:
    with BatchServer(lambda _: (200, completion("I can't."))) as server, Sandbox(workers=1) as sandbox:
        with open_ledger(batches.model_copy(update={"base_url": server.url}), store) as ledger:
            made = Synthesizer(ledger, Executor(sandbox, store), store, SynthesisConfig(tasks=150))
            progress = asyncio.run(made.run())
        assert progress.unusable == Counter({"no instruction": 150})
        assert [len(batch) for batch in server.batches] == [150]


def test_debugging_by_batches_is_a_wave_an_iteration(store: Store, batches: OpenAIConfig) -> None:
    tasks = playground_tasks("train", 80)
    prompts = len({task.prompt for task in tasks})  # equal requests are one
    program = fenced("def solve(xs):\n    return (")
    with BatchServer(lambda _: (200, completion(program))) as server, Sandbox(workers=2) as sandbox:
        with open_ledger(batches.model_copy(update={"base_url": server.url}), store) as ledger:
            settings = DebuggingConfig(max_iterations=1, concurrency=8)
            debugger = Debugger(ledger, Executor(sandbox, store), store, settings)
            asyncio.run(debug(debugger, tasks, len(tasks)))
        assert [len(batch) for batch in server.batches] == [prompts, prompts]


def test_a_wave_too_large_for_a_batch_is_several(
    store: Store, batches: OpenAIConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_module, "MOST_REQUESTS", 40)
    with BatchServer(lambda body: (200, completion(body["messages"][0]["content"]))) as server:
        with open_ledger(batches.model_copy(update={"base_url": server.url}), store) as ledger:
            given = answers(ledger, [str(i) for i in range(100)])
        assert all(isinstance(answer, Completion) and answer.text == text for text, answer in given.items())
        assert [len(batch) for batch in server.batches] == [40, 40, 20]
