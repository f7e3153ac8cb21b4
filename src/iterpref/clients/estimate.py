"""What calls to come will take: how many, tokens, US dollars, and hours at a rate that somebody measured."""

from collections.abc import Sequence
from dataclasses import dataclass

from iterpref.clients.base import Price

BYTES_PER_TOKEN = 3  # of texts whose tokenizer isn't known
_UNKNOWN = "unknown: no prices are set"


@dataclass(frozen=True)
class CallGroup:
    """Calls to one client, with the mean tokens of prompts and replies; no `price` says that they cost nothing."""

    count: float
    prompt_tokens: float
    completion_tokens: float
    price: Price | None

    @property
    def usd(self) -> float:
        price = self.price
        each = self.prompt_tokens * price.prompt + self.completion_tokens * price.completion if price else 0.0
        return self.count * each


def estimate(
    expected: Sequence[CallGroup], most: Sequence[CallGroup], tokens_per_s: float | None
) -> dict[str, float | str]:
    """Totals as expected and at most; hours only where a rate is given.

    Args:
        tokens_per_s: New tokens a second of all calls together, whatever a call's prompt.
    """
    said: dict[str, float | str] = {}
    for name, groups in (("expected", expected), ("most", most)):
        replies = sum(calls.count * calls.completion_tokens for calls in groups)
        known = all(calls.price is None or calls.price.known for calls in groups)
        said[f"{name}_calls"] = round(sum(calls.count for calls in groups))
        said[f"{name}_prompt_tokens"] = round(sum(calls.count * calls.prompt_tokens for calls in groups))
        said[f"{name}_completion_tokens"] = round(replies)
        said[f"{name}_usd"] = round(sum(calls.usd for calls in groups), 4) if known else _UNKNOWN
        if tokens_per_s is not None:
            said[f"{name}_hours"] = round(replies / tokens_per_s / 3600, 4)
    return said
