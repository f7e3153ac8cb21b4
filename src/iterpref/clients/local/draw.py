"""Logits → next tokens. Each row's draw depends on its request and its place in the text alone.

The Gumbel-max trick: argmax(logits / T + noise) is a draw from softmax(logits / T). The noise of a token is a hash of
(seed of the request, place in the text, token), so it needs no state and is the same in any company; and it is made for
those tokens only that it could carry to the top. Its uniform numbers have 24 bits, as torch's have: noise lies between
`-LEAST` and `MOST`, and a token further below the best than the sum of both can't win.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch

_BITS = 24
MOST = -math.log(-math.log1p(-(2.0 ** -(_BITS + 1))))
LEAST = math.log(math.log(2.0) * (_BITS + 1))
REACH = MOST + LEAST


class Draw(NamedTuple):
    """How one row's next token is drawn. `temperature` 0: the likeliest. `place`: its position in the row. `allowed`:
    the only tokens that it may be; None: any."""

    seed: int
    temperature: float
    top_p: float
    place: int
    allowed: Sequence[int] | None = None


def next_tokens(logits: torch.Tensor, draws: Sequence[Draw]) -> list[int]:
    """(rows, vocabulary) logits → a token of each row."""
    logits = _held(logits.float(), draws)
    best, likeliest = logits.max(dim=-1)
    chosen = likeliest.tolist()
    drawn = [row for row, draw in enumerate(draws) if draw.temperature]
    if not drawn:
        return chosen
    if len(drawn) < len(draws):
        logits, best = logits[drawn], best[drawn]
    heats = torch.tensor([draws[row].temperature for row in drawn], device=logits.device)
    # One look for all rows at what can win; a few hundred tokens each, which the CPU then draws from, on a GPU too.
    rows, tokens = (logits >= (best - REACH * heats)[:, None]).nonzero(as_tuple=True)
    scaled = (logits[rows, tokens] / heats[rows]).cpu()
    narrow = any(draws[row].top_p < 1 for row in drawn)
    totals = (logits / heats[:, None]).logsumexp(-1).tolist() if narrow else []
    rows, tokens = rows.cpu(), tokens.cpu()
    perturbed = scaled + _noise([draws[row] for row in drawn], rows, tokens)
    counts = torch.bincount(rows, minlength=len(drawn)).tolist()
    parts = zip(drawn, *(torch.split(values, counts) for values in (tokens, scaled, perturbed)), strict=True)
    for number, (row, near, shares, noisy) in enumerate(parts):
        if (top_p := draws[row].top_p) < 1:
            inside = _nucleus(shares, totals[number], top_p)
            near, noisy = near[inside], noisy[inside]
        chosen[row] = int(near[noisy.argmax()])
    return chosen


def _held(logits: torch.Tensor, draws: Sequence[Draw]) -> torch.Tensor:
    """The logits with those of tokens that a row may not be at minus infinity."""
    held = {row: list(draw.allowed) for row, draw in enumerate(draws) if draw.allowed is not None}
    if not held:
        return logits
    logits = logits.clone()
    for row, allowed in held.items():
        kept = logits[row, allowed]
        logits[row] = -math.inf
        logits[row, allowed] = kept
    return logits


def _nucleus(scaled: torch.Tensor, total: float, top_p: float) -> torch.Tensor:
    """Places of the smallest set whose probability reaches `top_p`, from (candidates,) log-weights and `total`."""
    order = scaled.argsort(descending=True)
    shares = (scaled[order] - total).exp()
    return order[shares.cumsum(0) - shares < top_p]


def _noise(draws: Sequence[Draw], rows: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Gumbel noise of (n,) tokens, each of the draw that (n,) `rows` says."""
    seeds, places = (torch.tensor(values) for values in ([d.seed for d in draws], [d.place for d in draws]))
    mixed = _mix(_mix(seeds) + places)[rows]
    uniform = ((_mix(mixed ^ tokens) & (2**_BITS - 1)).double() + 0.5) / 2**_BITS
    return -torch.log(-torch.log(uniform)).float()


def _mix(x: torch.Tensor) -> torch.Tensor:
    """The finishing steps of SplitMix64 (Steele, Lea and Flood 2014): each bit depends on all; int64 that wraps."""
    x = x + _signed(0x9E3779B97F4A7C15)
    x = (x ^ _shift(x, 30)) * _signed(0xBF58476D1CE4E5B9)
    x = (x ^ _shift(x, 27)) * _signed(0x94D049BB133111EB)
    return x ^ _shift(x, 31)


def _shift(x: torch.Tensor, bits: int) -> torch.Tensor:
    return (x >> bits) & ((1 << (64 - bits)) - 1)  # torch shifts signed numbers with their sign


def _signed(constant: int) -> int:
    return constant - (1 << 64)
