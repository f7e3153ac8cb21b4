"""What a failed request means: wait and retry, ask otherwise, refuse this one, or stop.

Every failure is classified here (the SDK's own retries are off); whoever asked acts on it (client.py, batch.py).
Only a refused key, an unknown model, connection errors and 5xx speak of the endpoint; what it says about one request
is that request's own.
"""

import os
import random
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import Enum

import openai

from iterpref.clients.openai.reply import FilteredReply

FIRST_WAIT_S, MOST_WAIT_S = 0.5, 60.0
OPTIONAL = ("temperature", "top_p", "seed", "max_tokens", "max_completion_tokens")
STOP = "stop"
# OpenAI: "array too long. Expected an array with maximum length 4"; vLLM: "List should have at most 4 items"
_TOO_MANY = re.compile(r"too[ _](long|many)|at most|maximum (length|number)|no more than", re.IGNORECASE)
_TOO_LONG = re.compile(
    r"context[ _](length|window|size)|maximum (context|input|sequence)|(prompt|input) is too long|too many tokens"
    r"|longer than the (maximum|model)|request too large",
    re.IGNORECASE,
)
_FILTERED = re.compile(r"moderation|flagged|content[ _](filter|policy|management)", re.IGNORECASE)
_KEY_OR_MODEL = re.compile(
    r"api[ _-]?key|(invalid|unknown|no such) model|model\b.{0,80} not (found|exist)|server is pinned to", re.IGNORECASE
)
_REFUSING = ("unsupported", "not support", "unrecognized", "unexpected", "not permitted")
# Keys that mark a begun turn (`client.prefill`): without them the server may begin anew, which is for the user to say.
_PREFILL = re.compile(r"continue_final_message|add_generation_prompt")


class Meaning(Enum):
    """What to do about a failure."""

    THROTTLED = "the endpoint asks for patience; waiting doesn't count as an attempt"
    TRANSIENT = "worth another attempt"
    PARAMETER = "the model refuses an optional parameter, or so many stop texts"
    REFUSED = "this request will never be answered; others may be"
    PREFILL = "the server does not take the keys that mark a begun turn; no such request will be answered"
    ENDPOINT = "no request will be answered"


@dataclass(frozen=True)
class FailedRequest:
    """A failed request: what it means, what was said, how long to wait as asked, which parameter was refused.

    `unreached`: no server was there at all. `of_server`: it may be the server that is at fault, for there was no
    connection, or it was lost, or the status is 5xx.
    """

    meaning: Meaning
    message: str
    wait_s: float | None = None
    parameter: str = ""
    unreached: bool = False
    of_server: bool = False


def classify(error: Exception) -> FailedRequest:
    """The meaning of what the SDK, a timeout or `read_reply` raised."""
    if isinstance(error, openai.APIStatusError):
        return by_status(error.status_code, _said(error), retry_after(error.response.headers), error.param)
    if isinstance(error, FilteredReply):
        return FailedRequest(Meaning.REFUSED, str(error))
    unreached = type(error.__cause__).__name__ in ("ConnectError", "ConnectTimeout")  # of the SDK's HTTP library
    if isinstance(error, openai.APITimeoutError | TimeoutError):
        said = "no connection in time" if unreached else "no answer in time"
        return FailedRequest(Meaning.TRANSIENT, said, unreached=unreached, of_server=unreached)
    if isinstance(error, openai.APIConnectionError):
        said = f"the connection failed ({_system_reason(error)})"
        return FailedRequest(Meaning.TRANSIENT, said, unreached=unreached, of_server=True)
    return FailedRequest(Meaning.TRANSIENT, str(error) or type(error).__name__)


def by_status(status: int, said: str, wait_s: float | None = None, about: str | None = None) -> FailedRequest:
    """The meaning of a status and the message with it; `about`: the parameter that the server says it is about."""
    message = f"status {status}: {said}"
    if (status >= 500 or status == 429) and _TOO_LONG.search(said):
        return FailedRequest(Meaning.REFUSED, message)  # some servers answer an over-long prompt so
    if status == 403 and _FILTERED.search(said):
        return FailedRequest(Meaning.REFUSED, message)
    if status == 429 and "insufficient_quota" in said:
        return FailedRequest(Meaning.ENDPOINT, message)
    if status == 429 or (status == 503 and wait_s is not None):
        return FailedRequest(Meaning.THROTTLED, message, wait_s)
    if status in (408, 409) or status >= 500:
        return FailedRequest(Meaning.TRANSIENT, message, wait_s, of_server=status >= 500)
    if status in (401, 402, 403, 404, 405) or (status == 400 and _KEY_OR_MODEL.search(said)):
        return FailedRequest(Meaning.ENDPOINT, message)
    if status in (400, 422) and _about_stops(said, about):
        return FailedRequest(Meaning.PARAMETER, message, parameter=STOP)
    if status not in (400, 422) or not any(word in said.lower() for word in _REFUSING):
        return FailedRequest(Meaning.REFUSED, message)
    if _PREFILL.search(about or said):
        return FailedRequest(Meaning.PREFILL, message)
    refused = _refused_parameter(said.lower(), about)
    return FailedRequest(Meaning.PARAMETER if refused else Meaning.REFUSED, message, parameter=refused)


def _about_stops(said: str, about: str | None) -> bool:
    """Whether a refusal is about stop texts: that there are too many, or that the server takes none."""
    named = STOP in (about or "").split(".") or re.search(r"['\".]stop\b|\bstop sequences?", said)
    return bool(named) and (bool(_TOO_MANY.search(said)) or any(word in said.lower() for word in _REFUSING))


def _refused_parameter(said: str, about: str | None) -> str:
    """The optional parameter that a refusal is about; "" if it is about something else."""
    if about in OPTIONAL:
        return str(about)
    return next((name for name in OPTIONAL if re.search(rf"\b{name}\b", said)), "")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait by `retry-after-ms` or `Retry-After` (seconds or a date); None without them."""
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        value = headers.get("retry-after", "")
        if re.fullmatch(r"\s*\d+(\.\d+)?\s*", value):
            return float(value)
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


def backoff(attempt: int) -> float:
    """Seconds before the next attempt: doubled each time up to a minute, a random half of it left out."""
    return float(min(MOST_WAIT_S, FIRST_WAIT_S * 2**attempt) * random.uniform(0.5, 1.0))


def without_key(text: str, key: str, most: int = 300) -> str:
    """A server's message without the key that it quotes, whole or in part (`sk-ab***yz`), and not too long."""
    if key:
        text = text.replace(key, "***")
        text = re.sub(rf"{re.escape(key[:2])}[\w-]*(\*{{2,}}|…|\.\.\.)[\w-]*", "***", text)
    return re.sub(r"\b(sk|pk|gsk|xai|hf)[-_][\w*.…-]{4,}", "***", text)[:most]


def _said(error: openai.APIStatusError) -> str:
    body = error.body
    message = body.get("message") or body.get("detail") if isinstance(body, dict) else None  # `detail`: FastAPI's
    return " ".join(str(message or error.response.text or error.message).split())[:3000]


def _system_reason(error: BaseException) -> str:
    """What the operating system said of a connection; else the innermost message."""
    while True:
        if isinstance(error, OSError) and error.errno:
            return os.strerror(error.errno).lower() if error.errno > 0 else str(error.strerror)
        inner = error.__cause__ or error.__context__
        if isinstance(error, BaseExceptionGroup):
            inner = error.exceptions[0]
        if inner is None:
            return " ".join(str(error).split())[:200] or type(error).__name__
        error = inner
