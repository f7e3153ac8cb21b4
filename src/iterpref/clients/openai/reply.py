"""Body of an endpoint's response → Completion.

In: bytes that should be a chat completion, or one of a raw prompt. Out: text without what a reasoning model thought,
which is kept beside it, whether the server sends it as `reasoning_content` (vLLM, DeepSeek), `reasoning` (gateways) or
inside `<think>` tags.
"""

from typing import Any

from pydantic import BaseModel, ValidationError

from iterpref.clients.base import Completion
from iterpref.clients.openai.retry import BadReply

OPEN, CLOSE = "<think>", "</think>"


class _Message(BaseModel):
    content: str | list[dict[str, Any]] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


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
    """The completion in a response.

    Raises:
        BadReply: The body is no JSON, or no completion with a choice.
    """
    try:
        reply = _Reply.model_validate_json(body)
    except ValidationError:
        shown = body[:80]
        raise BadReply(f"the response is no chat completion; it begins with {shown!r}") from None
    if not reply.choices:
        raise BadReply("the response holds no choice")
    choice, usage = reply.choices[0], reply.usage or _Usage()
    message = choice.message or _Message(content=choice.text)
    if choice.message is None and choice.text is None:
        raise BadReply("the response's choice holds neither message nor text")
    text, thought = split_reasoning(_text(message.content)) if choice.message else (choice.text or "", "")
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


def _text(content: str | list[dict[str, Any]] | None) -> str:
    """Content as text; some servers send a list of parts."""
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content)
    return content or ""
