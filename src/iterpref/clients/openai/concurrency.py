"""How many requests one endpoint gets at a time: additive increase, multiplicative decrease (AIMD).

The limit grows while the endpoint keeps up. It is halved when the endpoint throttles (429, 503) or lets requests time
out, and cut by a quarter when a window of answers took much longer per token and gave no more tokens per second:
servers such as vLLM queue without limit and never say 429.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable

START = 8
GAIN = 1.05  # more tokens per second by this factor mean that a higher limit paid off
SLOWER = 1.5  # seconds per token, against the best window


class Limiter:
    """Admission to one endpoint; `most` is never exceeded. For one event loop at a time."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self.limit = float(min(START, most))
        self.in_flight = 0
        self._doubling = True  # until the first sign of trouble
        self._paused_until = 0.0
        self._decreased_at = -1.0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._open_window()
        self._best: tuple[float, float, float] | None = None  # tokens per second, seconds per token, limit

    @property
    def load(self) -> float:
        """Share of the limit in use, and the seconds of a pause that the endpoint asked for."""
        return self.in_flight / self.limit + max(0.0, self._paused_until - self._clock())

    async def acquire(self) -> None:
        """Wait for a place, which `release` gives back."""
        while (pause := self._paused_until - self._clock()) > 0 or self.in_flight >= int(self.limit):
            await (asyncio.sleep(pause) if pause > 0 else self._place_given_back())
        self.in_flight += 1

    def release(self) -> None:
        self.in_flight -= 1
        self._wake()

    def answered(self, started: float, tokens: int) -> None:
        """An answer of so many tokens to a request sent at `started`."""
        now = self._clock()
        self._answers += 1
        self._tokens += max(1, tokens)
        self._seconds += now - started
        if self._answers >= int(self.limit):
            self._close_window(now)
        self._wake()

    def troubled(self, started: float, pause_s: float = 0.0) -> None:
        """The request sent at `started` was throttled or timed out; send nothing for `pause_s`."""
        now = self._clock()
        self._paused_until = max(self._paused_until, now + pause_s)
        if started > self._decreased_at:  # requests of one burst count once
            self._decreased_at = now
            self._doubling = False
            self.limit = max(1.0, self.limit / 2)
            self._open_window()

    def _close_window(self, now: float) -> None:
        rate = self._tokens / max(1e-9, now - self._opened_at)
        latency = self._seconds / self._tokens
        best = self._best
        if best and rate < GAIN * best[0] and latency > SLOWER * best[1] and self.limit > best[2]:
            self._doubling = False
            self.limit = max(best[2], self.limit * 0.75)
        else:
            self.limit = min(float(self._most), self.limit * 2 if self._doubling else self.limit + 1)
        if best is None or rate > best[0]:
            self._best = (rate, latency, self.limit)
        else:
            self._best = (best[0] * 0.95, best[1], best[2])  # endpoints change; forget slowly
        self._open_window()

    def _open_window(self) -> None:
        self._opened_at = self._clock()
        self._answers = self._tokens = 0
        self._seconds = 0.0

    async def _place_given_back(self) -> None:
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            self._wake()  # it may have been this one's turn: pass it on
            raise

    def _wake(self) -> None:
        free = int(self.limit) - self.in_flight
        while free > 0 and self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                free -= 1
