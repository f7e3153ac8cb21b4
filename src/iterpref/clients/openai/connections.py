"""One address of an endpoint: its connections, as many as are in flight, and how many may be (concurrency.py)."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import openai

from iterpref.clients.openai import OpenAIConfig
from iterpref.clients.openai.concurrency import Limiter

POOL = 32  # connections that are kept together
FIRST_REST_S, MOST_REST_S = 1.0, 60.0
_UNREAD: Any = {"headers": {"X-Stainless-Raw-Response": "true"}}  # what the SDK's `with_raw_response` says, too


class Endpoint:
    """One address, its limit, and the SDK's connections of the running event loop.

    They are in pools of `POOL`, made as they are needed: for each request the SDK's pool looks at all connections that
    it has, and for hundreds that takes more time than all else. (It also holds 1,000 at most, and keeps 100.)
    """

    def __init__(self, url: str, settings: OpenAIConfig, key: str) -> None:
        self.url = url
        self.limiter = Limiter(settings.concurrency)
        self._settings = settings
        self._key = key
        self._pools: list[_Pool] = []
        self._rests_until, self._rest_s = 0.0, FIRST_REST_S

    @property
    def rests(self) -> bool:
        """Whether its server failed a moment ago, so that others of the same model are asked first."""
        return time.monotonic() < self._rests_until

    def failed(self) -> None:
        """Its server gave no answer: rest, twice as long each time; what fails together counts once."""
        if not self.rests:
            self._rests_until = time.monotonic() + self._rest_s
            self._rest_s = min(MOST_REST_S, 2 * self._rest_s)

    def answered(self) -> None:
        self._rests_until, self._rest_s = 0.0, FIRST_REST_S

    async def post(self, body: dict[str, Any], extra: dict[str, Any]) -> bytes:
        """One HTTP request; the whole of it, a body that drips included, ends within the timeout.

        Not through the SDK's typed methods: walking through the body by its types takes a quarter of a call's time.
        """
        path = "/completions" if "prompt" in body else "/chat/completions"
        async with asyncio.timeout(self._settings.timeout_s):
            with self._least_busy().used() as sdk:
                response: Any = await sdk.post(path, cast_to=object, body={**body, **extra}, options=_UNREAD)
                return bytes(response.content)

    def sdk(self) -> openai.AsyncOpenAI:
        """For requests that come one at a time."""
        return self._opened()[0].sdk

    def _least_busy(self) -> "_Pool":
        pools = self._opened()
        pool = min(pools, key=lambda pool: pool.in_flight)
        if pool.in_flight >= POOL:
            pools.append(pool := self._open(pool.loop))
        return pool

    def _opened(self) -> "list[_Pool]":
        loop = asyncio.get_running_loop()
        if not self._pools or self._pools[0].loop is not loop:
            self._pools = [self._open(loop)]
        return self._pools

    def _open(self, loop: asyncio.AbstractEventLoop) -> "_Pool":
        timeout = openai.Timeout(self._settings.timeout_s, connect=10.0)
        limits = httpx2.Limits(max_connections=POOL, max_keepalive_connections=POOL)
        http = openai.DefaultAsyncHttpxClient(limits=limits)
        key = self._key or "none"  # local servers ask for no key, and the SDK wants one
        sdk = openai.AsyncOpenAI(base_url=self.url, api_key=key, max_retries=0, timeout=timeout, http_client=http)
        closing = loop.create_task(_closed_at_the_end(sdk))
        _CLOSING.add(closing)
        closing.add_done_callback(_CLOSING.discard)
        return _Pool(loop, sdk)


@dataclass
class _Pool:
    """The SDK of one event loop with some connections, and the requests that use them."""

    loop: asyncio.AbstractEventLoop
    sdk: openai.AsyncOpenAI
    in_flight: int = 0

    @contextmanager
    def used(self) -> Iterator[openai.AsyncOpenAI]:
        self.in_flight += 1
        try:
            yield self.sdk
        finally:
            self.in_flight -= 1


_CLOSING: set[asyncio.Task[None]] = set()
"""Tasks that close SDKs. Loops hold tasks weakly, and clients may be dropped before their loop ends."""


async def _closed_at_the_end(sdk: openai.AsyncOpenAI) -> None:
    """Wait until the loop ends, which cancels all tasks; then close the connections that were kept alive.

    Left to the garbage collector, the SDK would try it in a later loop, where they can't be closed any more.
    """
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        await sdk.close()
