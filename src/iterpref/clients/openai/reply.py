"""What an endpoint sent: a completion, or a failure and what it means: wait and retry, ask otherwise, give up, or stop.

Every failure is classified here (the SDK's own retries are off); whoever asked acts on it (client.py, batch.py).
"""

import random
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Any

import openai
from pydantic import BaseModel, ValidationError

from iterpref.clients.base import Completion

FIRST_WAIT_S, MOST_WAIT_S = 0.5, 60.0
OPTIONAL = ("temperature", "top_p", "seed", "max_tokens", "max_completion_tokens")
OPEN, CLOSE = "<think>", "</think>"


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


class _Message(BaseModel):
    content: str | list[dict[str, Any]] | None = None  # or parts, as some servers send them
    reasoning_content: str | None = None
    reasoning: str | None = None

    def text(self) -> str:
        parts = self.content if isinstance(self.content, list) else [{"text": self.content or ""}]
        return "".join(str(part.get("text", "")) for part in parts)


class _Choice(BaseModel):
    message: _Message | None = None  # of a chat
    text: str | None = None  # of a raw prompt
    finish_reason: str | None = None


class _Usage(BaseModel):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Reply(BaseModel):
    choices: list[_Choice]
    usage: _Usage | None = None


def read_reply(body: bytes | str) -> Completion:
    """The completion in a response; what a reasoning model thought is kept beside its text, however it is sent:
    as `reasoning_content` (vLLM, DeepSeek), as `reasoning` (gateways), or inside `<think>` tags.

    Raises:
        BadReply: The body is no JSON, or no completion with a choice.
    """
    try:
        reply = _Reply.model_validate_json(body)
    except ValidationError:
        raise BadReply(f"the response is no chat completion; it begins with {body[:80]!r}") from None
    if not reply.choices:
        raise BadReply("the response holds no choice")
    choice, usage, message = reply.choices[0], reply.usage or _Usage(), reply.choices[0].message or _Message()
    if choice.message is None and choice.text is None:
        raise BadReply("the response's choice holds neither message nor text")
    text, thought = split_reasoning(message.text()) if choice.message else (choice.text or "", "")
    return Completion(
        text=text,
        reasoning=message.reasoning_content or message.reasoning or thought,
        finish_reason="length" if choice.finish_reason == "length" else "stop",
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
    )


def split_reasoning(text: str) -> tuple[str, str]:
    """(answer, thought). A thought that was cut before its end leaves no answer; some templates open the tag unseen."""
    start = text.lstrip()
    if start.startswith(OPEN):
        thought, closed, answer = start.removeprefix(OPEN).partition(CLOSE)
        return (answer.strip("\n") if closed else ""), thought.strip()
    thought, closed, answer = text.partition(CLOSE)
    if closed and OPEN not in thought and "```" not in thought:
        return answer.strip("\n"), thought.strip()
    return text, ""


def classify(error: Exception) -> FailedRequest:
    """The meaning of what the SDK, a timeout or `read_reply` raised."""
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
        value = headers.get("retry-after", "")
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
