import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from iterpref.clients.openai.concurrency import Limiter


class Skipping(asyncio.SelectorEventLoop):
    """Time passes only where everybody sleeps, and then at once: what is measured does not depend on the machine."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        look: Any = self._selector.select

        def skip(timeout_s: float | None) -> Any:
            self._now += timeout_s or 0.0
            return look(0)

        self._selector.select = skip

    def time(self) -> float:
        return self._now


@pytest.fixture
def loop() -> Iterator[Skipping]:
    opened = Skipping()
    yield opened
    opened.close()


def now() -> float:
    return asyncio.get_running_loop().time()


async def flood(limiter: Limiter, requests: int, serve) -> list[float]:
    """Send requests as the limiter admits them; `serve(in_flight)` answers seconds of work, or raises `Full`."""
    limits = []

    async def one() -> None:
        while True:
            await limiter.acquire()
            started = now()
            try:
                await serve()
            except Full:
                limiter.troubled(started, pause_s=0.01)
                continue
            finally:
                limiter.release()
            limiter.answered(started, tokens=10)
            limits.append(limiter.limit)
            return

    await asyncio.gather(*(one() for _ in range(requests)))
    return limits


class Full(Exception):
    """The endpoint answers 429."""


class Queueing:
    """A server that works on `slots` requests at a time and lets the others wait without a word."""

    def __init__(self, slots: int, seconds: float) -> None:
        self._slots, self._seconds = asyncio.Semaphore(slots), seconds

    async def __call__(self) -> None:
        async with self._slots:
            await asyncio.sleep(self._seconds)


class Refusing:
    """A server that refuses more than `most` at a time."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most, self._seconds, self._now, self.refused = most, seconds, 0, 0

    async def __call__(self) -> None:
        if self._now >= self._most:
            self.refused += 1
            raise Full
        self._now += 1
        await asyncio.sleep(self._seconds)
        self._now -= 1


@pytest.mark.slow  # reads real latencies, which a busy machine blurs
def test_the_limit_follows_a_server_that_queues() -> None:
    limiter = Limiter(most=256)
    limits = asyncio.run(flood(limiter, 1500, Queueing(slots=16, seconds=0.02)))
    assert max(limits) <= 128, "latency alone must hold it back"
    assert sum(limits[500:]) / len(limits[500:]) < 64


def test_the_limit_reaches_a_server_that_keeps_up(loop: Skipping) -> None:
    limiter = Limiter(most=64, clock=loop.time)
    loop.run_until_complete(flood(limiter, 600, Queueing(slots=1000, seconds=0.01)))
    assert limiter.limit == 64


def test_the_limit_stays_near_what_is_refused(loop: Skipping) -> None:
    limiter, server = Limiter(most=256, clock=loop.time), Refusing(most=20, seconds=0.01)
    limits = loop.run_until_complete(flood(limiter, 800, server))
    assert max(limits) <= 64
    assert 5 <= limiter.limit <= 40
    assert server.refused < 400


def test_a_pause_holds_everybody_and_one_burst_counts_once(loop: Skipping) -> None:
    limiter = Limiter(most=8, clock=loop.time)

    async def paused() -> float:
        started = now()
        for _ in range(5):  # five refusals of requests that were sent before the first of them came back
            limiter.troubled(started, pause_s=0.2)
        assert limiter.limit == 4
        await asyncio.gather(*(limiter.acquire() for _ in range(4)))
        return now() - started

    assert loop.run_until_complete(paused()) == pytest.approx(0.2, abs=0.01)


def test_a_cancelled_wait_passes_its_turn_on(loop: Skipping) -> None:
    async def turns() -> int:
        limiter = Limiter(most=1, clock=loop.time)
        await limiter.acquire()
        first, second = (asyncio.create_task(limiter.acquire()) for _ in range(2))
        await asyncio.sleep(0)
        limiter.release()  # it is first's turn
        first.cancel()
        await asyncio.wait_for(second, 1)
        return limiter.in_flight

    assert loop.run_until_complete(turns()) == 1


@pytest.mark.parametrize("most", [1, 3])
def test_most_is_never_exceeded(loop: Skipping, most: int) -> None:
    limiter, running, peak = Limiter(most=most, clock=loop.time), 0, 0

    async def serve() -> None:
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        await asyncio.sleep(0.001)
        running -= 1

    loop.run_until_complete(flood(limiter, 50, serve))
    assert peak == most
