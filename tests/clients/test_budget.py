import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from endpoints import Scripted, completion

from iterpref.clients import Budget, BudgetConfig, Completion, Ledger, Request, Sampling
from iterpref.clients.ledger import DEAD_IN_A_ROW
from iterpref.clients.openai import OpenAIConfig
from iterpref.clients.openai import failures as failures_module
from iterpref.clients.openai.client import OpenAIClient
from iterpref.errors import BudgetError, ClientError, EndpointError
from iterpref.playground.tasks import playground_tasks
from iterpref.records import Message
from iterpref.store import Store

CANARY = "sk-canary-0123456789"
PROGRAM = "```python\ndef solve(x):\n    return x\n```"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures_module, "FIRST_WAIT_S", 0.01)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "run") as opened:
        yield opened


def settings(url: str, **values: Any) -> OpenAIConfig:
    prices = {"prompt_usd_per_million": 1000.0, "completion_usd_per_million": 2000.0}
    return OpenAIConfig(base_url=url, model="m", max_attempts=2, **{**prices, **values})


def ledger(store: Store, url: str, **budget: Any) -> Ledger:
    client = settings(url)
    return Ledger(OpenAIClient(client), store, Budget(BudgetConfig(**budget), store), client.price())


def ask(ledger: Ledger, count: int, first: int = 0) -> list[Completion | BaseException]:
    """So many different calls at once; what each gave or raised."""
    sampling = Sampling(max_tokens=10)
    requests = [
        Request(messages=(Message(role="user", content=f"q{i}"),), sampling=sampling)
        for i in range(first, first + count)
    ]

    async def all_at_once() -> list[Any]:
        return await asyncio.gather(*(ledger.complete(r) for r in requests), return_exceptions=True)

    return asyncio.run(all_at_once())


def test_calls_stop_at_the_budget_and_go_on_with_a_higher_one(store: Store) -> None:
    with Scripted(lambda _: (200, completion("a"))) as endpoint:
        answers = ask(ledger(store, endpoint.url, max_calls=5), 12)
        refused = [a for a in answers if isinstance(a, BudgetError)]
        assert (endpoint.requests, len(refused), store.count("calls")) == (5, 7, 5)
        assert "5 calls and $0.1000 spent" in str(refused[0])
        assert "budget.max_calls is 5" in str(refused[0])
        # The next process knows what was spent, and pays only for what is new.
        answers = ask(ledger(store, endpoint.url, max_calls=8), 12)
        assert (endpoint.requests, sum(isinstance(a, BudgetError) for a in answers)) == (8, 4)


def test_us_dollars_are_never_exceeded_by_calls_in_flight(store: Store) -> None:
    # Each answer costs 10 x $0.001 + 5 x $0.002 = $0.02; at most 18 x $0.001 + 10 x $0.002 = $0.038 before it is made.
    with Scripted(lambda _: (200, completion("a"))) as endpoint:
        answers = ask(ledger(store, endpoint.url, max_budget_usd=0.2), 40)
        made = sum(not isinstance(a, BaseException) for a in answers)
        assert made == endpoint.requests == 9  # a tenth may have cost $0.038 on top of $0.18
        assert store.spending() == (9, pytest.approx(0.18))
        assert "the next call may cost up to $0.0380" in str(next(a for a in answers if isinstance(a, BudgetError)))


def test_unanswered_calls_free_what_they_reserved(store: Store) -> None:
    def picky(body: dict[str, Any]) -> tuple[int, Any]:
        bad = body["messages"][0]["content"] == "q0"
        return (400, {"error": {"message": "no"}}) if bad else (200, completion("a"))

    with Scripted(picky) as endpoint:
        answers = ask(ledger(store, endpoint.url, max_calls=3), 4)
        assert [type(a).__name__ for a in answers] == ["RefusedError", "tuple", "tuple", "tuple"]


def test_a_dead_call_is_not_made_again_until_asked_for(store: Store) -> None:
    works = False

    def moody(body: dict[str, Any]) -> tuple[int, Any]:
        if body["messages"][0]["content"] == "q1" and not works:
            return 500, {"error": {"message": "oops"}}
        return 200, completion("a")

    with Scripted(moody) as endpoint:
        opened = ledger(store, endpoint.url)
        _, died, _ = ask(opened, 3)
        assert isinstance(died, ClientError)
        assert endpoint.requests == 4
        works = True
        _, died, _ = ask(ledger(store, endpoint.url), 3)
        assert "status 500: oops" in str(died)
        assert "--retry-dead" in str(died)
        assert endpoint.requests == 4
        assert store.forget_dead_letters() == 1
        answers = ask(ledger(store, endpoint.url), 3)
        assert not any(isinstance(a, BaseException) for a in answers)
        assert endpoint.requests == 5


def test_a_broken_endpoint_stops_the_stage_and_buries_nothing(store: Store) -> None:
    with Scripted(lambda _: (500, {"error": {"message": "down"}})) as endpoint:
        answers = ask(ledger(store, endpoint.url), DEAD_IN_A_ROW)
    stopped = [a for a in answers if isinstance(a, EndpointError)]
    assert len(stopped) == 1
    assert f"the last {DEAD_IN_A_ROW} calls all failed" in str(stopped[0])
    assert store.count("dead_letters") == 0


def command(run: Path, *arguments: str, key: str = CANARY) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "iterpref", "debug", "--run", str(run), *arguments]
    return subprocess.run(line, capture_output=True, text=True, env={**os.environ, "OPENAI_API_KEY": key}, timeout=500)


def options(url: str, *more: str) -> list[str]:
    values = ["client.kind=openai", "client.model=m", f"client.base_url={url}", "debugging.max_iterations=1", *more]
    return [part for value in values for part in ("--set", value)]


def test_the_key_is_written_nowhere(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with Store.open(run) as store:
        store.put_tasks(playground_tasks("train", 6))

    def leaky(body: dict[str, Any]) -> tuple[int, Any]:
        return 400, {"error": {"message": f"key {CANARY} may not ask this"}}

    with Scripted(lambda _: (200, completion(PROGRAM))) as good, Scripted(leaky) as bad:
        first = command(run, *options(good.url, "debugging.max_iterations=0"), "--json")
        assert first.returncode == 0, first.stderr
        second = command(run, *options(bad.url))
    assert second.returncode == 1
    assert "key *** may not ask this" in second.stderr
    pasted = command(run, *options(good.url, f"client.api_key_env={CANARY}"))
    assert pasted.returncode == 1
    assert "client.api_key_env" in pasted.stderr
    assert "not shown" in pasted.stderr
    written = b"".join(path.read_bytes() for path in run.rglob("*") if path.is_file())
    shown = "".join(done.stdout + done.stderr for done in (first, second, pasted))
    assert CANARY.encode() not in written
    assert CANARY not in shown


def test_a_run_stops_at_its_budget_with_one_message(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with Store.open(run) as store:
        store.put_tasks(playground_tasks("train", 20))
    with Scripted(lambda _: (200, completion(PROGRAM))) as endpoint:
        estimated = command(run, *options(endpoint.url, "client.completion_usd_per_million=10"), "--estimate", "--json")
        assert endpoint.requests == 0
        assert '"most_calls": 40' in estimated.stdout
        stopped = command(run, *options(endpoint.url, "budget.max_calls=13", "debugging.concurrency=4"))
        assert stopped.returncode == 1
        said = r"iterpref: \d+ of 20 tasks are finished; budget reached: 13 calls \(prices unknown\) on endpoints"
        assert re.match(said, stopped.stderr.strip().splitlines()[-1])
        assert endpoint.requests == 13
        finished = command(run, *options(endpoint.url, "budget.max_calls=100"), "--json")
        assert finished.returncode == 0, finished.stderr
    with Store.open(run, write=False) as store:
        assert store.count("trajectories") == 20
        assert store.count("calls") == endpoint.requests


@pytest.mark.slow  # three whole commands
def test_dead_calls_are_made_again_by_retry_dead(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with Store.open(run) as store:
        store.put_tasks(playground_tasks("train", 6))
    refused = ""

    def moody(body: dict[str, Any]) -> tuple[int, Any]:
        nonlocal refused
        refused = refused or body["messages"][0]["content"]
        broken = body["messages"][0]["content"] == refused and moody_still
        return (400, {"error": {"message": "too long"}}) if broken else (200, completion(PROGRAM))

    moody_still = True
    with Scripted(moody) as endpoint:
        settings = options(endpoint.url, "debugging.max_iterations=0")
        first = command(run, *settings)
        assert first.returncode == 1
        assert "1 of 6 tasks could not be debugged" in first.stderr
        moody_still = False
        asked = endpoint.requests
        assert command(run, *settings).returncode == 1, "the call is given up until somebody says so"
        assert endpoint.requests == asked
        last = command(run, *settings, "--retry-dead", "--json")
        assert last.returncode == 0, last.stderr
        assert endpoint.requests == asked + 1
    with Store.open(run, write=False) as store:
        assert (store.count("trajectories"), store.count("dead_letters")) == (6, 0)
