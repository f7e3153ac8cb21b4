"""How fast answers come, in words: tokens a second, and when what was asked so far will be answered."""

import time
from collections import deque
from datetime import timedelta

from iterpref.clients.activity import Activity

_WINDOW_S = 20.0


class Meter:
    """Counts of one client, whose tokens are looked at now and then."""

    def __init__(self) -> None:
        self.asked, self.answered = 0, 0
        self._seen: deque[tuple[float, int]] = deque()

    def activity(self, tokens: int, running: int, waiting: int) -> Activity | None:
        """`tokens`: made since the client began. None where nothing is in work."""
        now = time.monotonic()
        if not running and not waiting:
            self._seen.clear()  # an idle time is no slow time
            return None
        self._seen.append((now, tokens))
        while now - self._seen[0][0] > _WINDOW_S and len(self._seen) > 2:
            self._seen.popleft()
        (began, before) = self._seen[0]
        rate = (tokens - before) / (now - began) if now > began else 0.0
        note = f"{rate:.0f} tokens/s, {running} running, {waiting} waiting{self._left(tokens, rate)}"
        return Activity(self.answered, self.asked, note)

    def _left(self, tokens: int, rate: float) -> str:
        """From the mean length of an answer so far; unknown before the first has ended."""
        if not self.answered or not rate:
            return ""
        missing = max(0.0, tokens / self.answered * self.asked - tokens)
        return f", about {timedelta(seconds=round(missing / rate))} left"
