"""What a failed request to an endpoint means: wait and try again, ask otherwise, give this call up, or stop.

One place for all retries (the SDK's own are off). Not here: how many requests run at a time (concurrency.py), calls
that failed for good (clients/ledger.py).
"""

import random
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import Enum

import openai

FIRST_WAIT_S, MOST_WAIT_S = 0.5, 60.0
OPTIONAL = ("temperature", "top_p", "seed", "max_tokens", "max_completion_tokens")


class Meaning(Enum):
    """What to do about a failure."""

    THROTTLED = "the endpoint asks for patience; waiting doesn't count as an attempt"
    TRANSIENT = "worth another attempt"
    PARAMETER = "the model refuses an optional parameter"
    CALL = "this request will never be answered"
    ENDPOINT = "no request will be answered"


class BadReply(Exception):
    """A response with status 200 that is no chat completion."""


@dataclass(frozen=True)
class FailedRequest:
    """A failed request: what it means, what was said, how long to wait as asked, which parameter was refused."""

    meaning: Meaning
    message: str
    wait_s: float | None = None
    parameter: str = ""


def classify(error: Exception) -> FailedRequest:
    """The meaning of what the SDK raised."""
    if isinstance(error, openai.APIStatusError):
        return _by_status(error)
    if isinstance(error, openai.APITimeoutError | TimeoutError):
        return FailedRequest(Meaning.TRANSIENT, "no answer in time")
    if isinstance(error, openai.APIConnectionError):
        return FailedRequest(Meaning.TRANSIENT, f"the connection failed ({_deepest(error)})")
    return FailedRequest(Meaning.TRANSIENT, str(error) or type(error).__name__)


def _by_status(error: openai.APIStatusError) -> FailedRequest:
    status, said = error.status_code, f"status {error.status_code}: {_said(error)}"
    wait = retry_after(error.response.headers)
    if status == 429 and "insufficient_quota" in said:
        return FailedRequest(Meaning.ENDPOINT, said)
    if status == 429 or (status == 503 and wait is not None):
        return FailedRequest(Meaning.THROTTLED, said, wait)
    if status in (408, 409) or status >= 500:
        return FailedRequest(Meaning.TRANSIENT, said, wait)
    if status in (401, 402, 403, 404):
        return FailedRequest(Meaning.ENDPOINT, said)
    refused = _refused_parameter(error) if status in (400, 422) else ""
    return FailedRequest(Meaning.PARAMETER if refused else Meaning.CALL, said, parameter=refused)


def _refused_parameter(error: openai.APIStatusError) -> str:
    """The optional parameter a 400 is about; "" if it is about something else."""
    text = _said(error).lower()
    if not any(word in text for word in ("unsupported", "not support", "unrecognized", "unexpected", "not permitted")):
        return ""
    if error.param in OPTIONAL:
        return str(error.param)
    return next((name for name in OPTIONAL if re.search(rf"\b{name}\b", text)), "")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait by `retry-after-ms` or `Retry-After` (seconds or a date); None without them."""
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        value = headers.get("retry-after")
        if value is None:
            return None
        if re.fullmatch(r"\s*\d+(\.\d+)?\s*", value):
            return float(value)
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


def backoff(attempt: int) -> float:
    """Seconds before the next attempt: doubled each time up to a minute, a random half of it left out."""
    return float(min(MOST_WAIT_S, FIRST_WAIT_S * 2**attempt) * random.uniform(0.5, 1.0))


def _said(error: openai.APIStatusError) -> str:
    body = error.body
    message = body.get("message") if isinstance(body, dict) else None
    return " ".join(str(message or error.response.text or error.message).split())[:300]


def _deepest(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split())[:200] or type(error).__name__
