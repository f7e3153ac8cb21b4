"""The body of an endpoint's response → Completion. What is none, and what other failures mean: failures.py."""

import json
from typing import Any

from pydantic import BaseModel

from iterpref.clients.base import Completion

OPEN, CLOSE = "<think>", "</think>"


class BadReply(Exception):
    """A response with status 200 that is no chat completion."""


class FilteredReply(BadReply):
    """One whose answer a content filter withheld or cut."""


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
        BadReply: The body is no JSON, or no completion with a choice; FilteredReply: a content filter ended it.
    """
    try:
        reply = _Reply.model_validate(json.loads(body))  # pydantic's own reader refuses a lone surrogate
    except (ValueError, RecursionError):
        raise BadReply(f"the response is no chat completion; it begins with {body[:80]!r}") from None
    if not reply.choices:
        raise BadReply("the response holds no choice")
    if reply.choices[0].finish_reason == "content_filter":
        raise FilteredReply("the content filter of the endpoint stopped the answer (finish_reason content_filter)")
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
