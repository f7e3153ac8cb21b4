"""How fast is this machine at what a step of a model consists of: matrix products, attention, passes over memory?

Each is run for a moment in the model's own shapes. `elapsed` is the clock: the time of day, or for a comparison beside
other work the process's own (`time.process_time`, with one thread).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn.functional import scaled_dot_product_attention

_LEAST_S = 0.2
_MOST_COLUMNS, _MOST_ROWS = 4096, 4096  # beyond these a product's rate no longer grows

Clock = Callable[[], float]


@dataclass(frozen=True)
class Speed:
    """Operations a second in products of matrices and in attention, and bytes a second that an operation writes."""

    products: float
    attention: float
    written: float


def measured_speed(device: str, dtype: torch.dtype, tokens: int, hidden: int, head: int, row: int,
                   elapsed: Clock = time.perf_counter) -> Speed:  # fmt: skip
    """Measure for batches of `tokens`, layers `hidden` wide, heads of size `head` and rows of `row` tokens."""
    rows, width = min(max(tokens, 1), _MOST_ROWS), min(hidden, _MOST_COLUMNS)
    states, weights = (torch.randn(size, width, device=device, dtype=dtype) for size in (rows, width))
    heads, length = max(width // head, 1), min(max(row, 1), _MOST_ROWS)
    query = torch.randn(1, heads, length, head, device=device, dtype=dtype)
    timed = _Timed(device, elapsed)
    return Speed(
        products=2.0 * rows * width * width / timed(lambda: torch.mm(states, weights.T)),
        attention=2.0 * heads * head * length * (length + 1)
        / timed(lambda: scaled_dot_product_attention(query, query, query, is_causal=True)),
        written=states.nbytes / timed(lambda: states * states),
    )  # fmt: skip


@dataclass(frozen=True)
class _Timed:
    """Seconds that an operation takes, by repeating it."""

    device: str
    elapsed: Clock

    def __call__(self, work: Callable[[], object]) -> float:
        work()  # what is set up once
        count, started = 0, self._now()
        while self._now() - started < _LEAST_S:
            work()
            count += 1
        return (self._now() - started) / count

    def _now(self) -> float:
        if self.device.startswith("cuda"):
            torch.cuda.synchronize()
        return self.elapsed()
