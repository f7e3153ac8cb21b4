"""What the client asks of a server besides tasks, one check each: `benchmarks/servers.py --checks`.

A check says in words what the server did; whether that is right is for its reader. Each is a function below, named in
`CHECKS`. Requests are small, so that a slow server can answer them.
"""

import asyncio
import json
import time
import urllib.request
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from iterpref.clients import Completion, Request, Sampling
from iterpref.clients.openai import OpenAIConfig
from iterpref.clients.openai.client import OpenAIClient
from iterpref.clients.openai.serve import served
from iterpref.errors import ClientError
from iterpref.records import Message

COUNT = "Count from 1 to 20, as digits separated by commas. Write nothing else."
WORDS = "Write one sentence about a walk in the rain."
PREFILLS = ("continue_final_message", "prefix", "plain")


def run_checks(settings: OpenAIConfig, folder: Path, too_long: int, names: Sequence[str] = ()) -> dict[str, Any]:
    """Name of the check → what the server did; only those of `names`, if there are any."""
    with served(settings, folder / "logs") if settings.serve else nullcontext(settings) as endpoint:
        server = Server(endpoint.model_copy(update={"serve": None}), too_long)
        found: dict[str, Any] = {}
        for name in names or CHECKS:
            started = time.monotonic()
            outcome = asyncio.run(CHECKS[name](server))
            found[name] = {"said": outcome, "seconds": round(time.monotonic() - started, 1)}
            print(f"{name}: {outcome}", flush=True)
        return found


class Server:
    """The server that is checked: requests to it, and its answers or errors as text."""

    def __init__(self, settings: OpenAIConfig, too_long: int) -> None:
        self.settings, self.too_long = settings, too_long

    async def ask(self, *requests: Request, **changed: Any) -> list[Completion | ClientError]:
        """All at once, by a client of their own with some settings changed."""
        client = OpenAIClient(self.settings.model_copy(update=changed))

        async def one(request: Request) -> Completion | ClientError:
            try:
                return await client.complete(request)
            except ClientError as error:
                return error

        return await asyncio.gather(*map(one, requests))

    def card(self) -> Any:
        """What `GET models` says."""
        url = f"{self.settings.urls[0]}/models"
        with urllib.request.urlopen(url, timeout=30) as reply:
            return json.loads(reply.read())["data"]


def request(text: str, max_tokens: int = 24, **values: Any) -> Request:
    sampling = {name: values.pop(name) for name in ("temperature", "stop", "seed") if name in values}
    settings = Sampling(**{"temperature": 0.0, "max_tokens": max_tokens, **sampling})
    return Request(messages=(Message(role="user", content=text),), sampling=settings, **values)


def said(answer: Completion | ClientError) -> str:
    if isinstance(answer, ClientError):
        return f"{type(answer).__name__}: {answer}"
    counts = f"{answer.prompt_tokens} + {answer.completion_tokens} tokens"
    return f"{answer.text!r} ({answer.finish_reason}, {counts})"


def text(answer: Completion | ClientError) -> str:
    return said(answer) if isinstance(answer, ClientError) else answer.text


async def identity(server: Server) -> str:
    """The model's card, and what the ledger adds to its name."""
    try:
        cards: Any = server.card()
    except (OSError, ValueError, KeyError) as error:
        cards = f"{type(error).__name__}: {error}"
    return f"weights {server.settings.weights()!r}; models: {json.dumps(cards)[:600]}"


async def greedy(server: Server) -> str:
    one, other = *await server.ask(request(COUNT)), *await server.ask(request(COUNT))
    return f"{'the same' if text(one) == text(other) else 'ANOTHER'} twice: {said(one)}"


async def stops(server: Server) -> str:
    """Fewer tokens than without it mean that the server stopped by itself, not only the client's cut."""
    [one], [many] = (
        await server.ask(request(COUNT, stop=(", 5",))),
        await server.ask(request(COUNT, stop=("\nx", "\ny", "\nz", "\nv", "\nw", ", 5"))),
    )
    return f"one text: {said(one)}; six texts: {said(many)}"


async def sampling(server: Server) -> str:
    """Four draws, one after the other, then again, then all at once."""
    draws = [request(WORDS, temperature=1.0, sample_index=index) for index in range(4)]
    alone = [text((await server.ask(draw))[0]) for draw in draws]
    again = [text((await server.ask(draw))[0]) for draw in draws[:2]]
    together = [text(answer) for answer in await server.ask(*draws)]
    repeated = sum(a == b for a, b in zip(alone[:2], again, strict=True))
    same = sum(a == b for a, b in zip(alone, together, strict=True))
    return (
        f"{len(set(alone))} texts in 4 draws; repeated by their seed: {repeated} of 2; "
        f"the same when asked together: {same} of 4; {alone[0]!r}"
    )


async def prefill(server: Server) -> str:
    begun = request("Write a Python function add(a, b) that adds two numbers.")
    turn = Message(role="assistant", content="Here it is:\n\n```python\n")
    begun = begun.model_copy(update={"messages": (*begun.messages, turn)})
    answers = {name: said((await server.ask(begun, prefill=name, max_attempts=1))[0]) for name in PREFILLS}
    return "; ".join(f"{name}: {answer}" for name, answer in answers.items())


async def raw(server: Server) -> str:
    [answer] = await server.ask(request("def add(a, b):\n    return", 8, raw=True, stop=("\n",)), max_attempts=1)
    return said(answer)


async def together(server: Server) -> str:
    """Eight greedy requests at once, against one by one."""
    asked = [request(f"What is {n} + {n}? Answer with one short sentence.", 16) for n in range(8)]
    started = time.monotonic()
    alone = [text((await server.ask(one))[0]) for one in asked]
    middle = time.monotonic()
    at_once = [text(answer) for answer in await server.ask(*asked)]
    one_by_one, all_at_once = middle - started, time.monotonic() - middle
    same = sum(a == b for a, b in zip(alone, at_once, strict=True))
    return f"{same} of 8 the same; one by one {one_by_one:.1f} s, at once {all_at_once:.1f} s; {at_once[3]!r}"


async def cut(server: Server) -> str:
    return said((await server.ask(request(COUNT, 5)))[0])


async def cancelled(server: Server) -> str:
    """A long answer is given up after 2 s; a server that goes on with it keeps the next request waiting."""
    started = time.monotonic()
    [given_up] = await server.ask(request("Write a very long story.", 400), timeout_s=2.0, max_attempts=1)
    before = time.monotonic()
    [answer] = await server.ask(request(COUNT, 5))
    first, second = before - started, time.monotonic() - before
    return f"{said(given_up)} after {first:.1f} s; the next: {said(answer)} after {second:.1f} s"


async def too_long(server: Server) -> str:
    return said((await server.ask(request("word " * server.too_long, 8), max_attempts=1))[0])


async def unknown_model(server: Server) -> str:
    return said((await server.ask(request(COUNT, 4), model="no-such-model", max_attempts=1))[0])


async def wrong_key(server: Server) -> str:
    """A variable that is not set: no key."""
    return said((await server.ask(request(COUNT, 4), api_key_env="NO_SUCH_KEY", max_attempts=1))[0])


CHECKS: dict[str, Callable[[Server], Awaitable[str]]] = {
    "identity": identity,
    "greedy": greedy,
    "stop texts": stops,
    "cut at max_tokens": cut,
    "sampling and seeds": sampling,
    "begun turns": prefill,
    "raw prompts": raw,
    "several at a time": together,
    "unknown model": unknown_model,
    "no key": wrong_key,
    "cancelled": cancelled,
    "too long": too_long,
}
