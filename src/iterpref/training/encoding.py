"""A preference pair → token ids and masks, from one encode of each side's whole text.

The ids are those that TRL's DPOTrainer makes: plain text gets the tokenizer's special tokens and an EOS, messages go
through the chat template. Spans index the completion; here they move to where the rendered text holds it.
Not here: truncation (batching.py), which spans carry loss (methods.py), pairs without a focal token (pairs.py).
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import takewhile
from typing import Any

from jinja2 import TemplateError

from iterpref.errors import SpanError, TrainingError
from iterpref.records import Message, Prompt, Span
from iterpref.training.masking import Offset, contiguous, fence_spans, focal_mask, shift_spans

logger = logging.getLogger(__name__)

_PROBE = "iterpref probe of the chat template"


@dataclass(frozen=True)
class EncodedPair:
    """Token ids of one pair; the masks say with 1 which tokens of their side carry loss."""

    prompt_ids: list[int]
    chosen_ids: list[int]
    rejected_ids: list[int]
    chosen_mask: list[int]
    rejected_mask: list[int]


@dataclass(frozen=True)
class _Rendered:
    """One side of a pair as text: where the prompt stops, where the completion stands, how far its spans move."""

    text: str
    prompt_stop: int
    content: Span
    shift: int


@dataclass(frozen=True)
class _Side:
    """One side of a pair, encoded; `start` is its first completion token."""

    rendered: _Rendered
    ids: list[int]
    offsets: list[Offset]
    start: int


def check_tokenizer(tokenizer: Any) -> None:
    """Refuse with a TrainingError a tokenizer without character offsets, or without an EOS to end a completion with."""
    if not getattr(tokenizer, "is_fast", False):
        raise TrainingError(
            f"{type(tokenizer).__name__} reports no character offsets, which focal masks need; use a tokenizer with "
            "a tokenizer.json (the `tokenizers` library)"
        )
    if tokenizer.eos_token is None:
        raise TrainingError(f"{type(tokenizer).__name__} has no eos_token, so no completion would ever end; set one")


def encode_pair(
    prompt: Prompt,
    chosen: str,
    rejected: str,
    rejected_spans: Sequence[Span] | None,
    tokenizer: Any,
    chosen_spans: Sequence[Span] | None = None,
) -> EncodedPair:
    """Encode both sides and mark the tokens of each that lie in its spans, or all of them for None.

    A token that holds the end of the prompt and the start of the completion counts as completion. The two sides share
    their prompt tokens; should the tokenizer cut the prompt's end in two ways, the sides part where they differ.

    Raises:
        SpanError: The chat template changed the completion, so its spans can't be found.
        TrainingError: The tokenizer has no chat template, or the template refuses the messages.
    """
    one, other = (_encode_side(prompt, text, tokenizer) for text in (chosen, rejected))
    shared = min(one.start, other.start)
    cut = _common_length(one.ids[:shared], other.ids[:shared])
    return EncodedPair(
        prompt_ids=one.ids[:cut],
        chosen_ids=one.ids[cut:],
        rejected_ids=other.ids[cut:],
        chosen_mask=_mark(one, chosen, chosen_spans)[cut:],
        rejected_mask=_mark(other, rejected, rejected_spans)[cut:],
    )


def token_texts(prompt: Prompt, chosen: str, rejected: str, tokenizer: Any) -> dict[str, list[str]]:
    """Side → the text of each token of its row, prompt included, one for each id that `encode_pair` gives.

    A token that stands for no character of the text, and each further one of a character's bytes, is spelled as the
    vocabulary does.
    """
    found = {}
    for name, completion in (("chosen", chosen), ("rejected", rejected)):
        side = _encode_side(prompt, completion, tokenizer)
        spelled = tokenizer.convert_ids_to_tokens(side.ids)
        ends = [0, *(stop for _, stop in side.offsets)]
        found[name] = [
            side.rendered.text[start:stop] if start < stop and stop > before else token
            for (start, stop), token, before in zip(side.offsets, spelled, ends, strict=False)
        ]
    return found


def _mark(side: _Side, completion: str, spans: Sequence[Span] | None) -> list[int]:
    """The mask of a whole side, prompt included; spans and fences move to where the completion stands."""
    if spans is None:
        return [1] * len(side.ids)
    shift, content = side.rendered.shift, side.rendered.content
    moved = shift_spans(spans, shift, content.start, content.stop)
    # A fence that a span points into is meant: closing the block too early is how missing lines were skipped.
    meant = {f for f in fence_spans(completion) if any(f.start <= span.start < f.stop for span in spans)}
    fences = [fence for fence in fence_spans(completion) if fence not in meant]
    fences = shift_spans(fences, shift, content.start, content.stop)
    return focal_mask(side.offsets, moved, fences)


def _encode_side(prompt: Prompt, completion: str, tokenizer: Any) -> _Side:
    if isinstance(prompt, str):
        rendered = _render_plain(prompt, completion, tokenizer.eos_token)
    else:
        rendered = _render_chat(prompt, completion, tokenizer)
    special = isinstance(prompt, str)  # a chat template writes its own special tokens
    encoded = tokenizer(rendered.text, add_special_tokens=special, return_offsets_mapping=True, verbose=False)
    ids, offsets = list(encoded["input_ids"]), contiguous(encoded["offset_mapping"], encoded.tokens())
    start = next((i for i, (_, stop) in enumerate(offsets) if stop > rendered.prompt_stop), len(ids))
    return _Side(rendered, ids, offsets, start)


def _render_plain(prompt: str, completion: str, eos_token: str) -> _Rendered:
    text = prompt + completion
    content = Span(start=len(prompt), stop=len(text))
    ending = "" if completion.endswith(eos_token) else eos_token
    return _Rendered(text + ending, len(prompt), content, shift=len(prompt))


def _render_chat(prompt: Sequence[Message], completion: str, tokenizer: Any) -> _Rendered:
    """The conversation as the template writes it."""
    turns = [message.model_dump() for message in prompt]
    opening = _apply_template(tokenizer, turns, add_generation_prompt=True)
    before, after = _around_reply(turns, tokenizer)
    text = _apply_template(tokenizer, [*turns, _reply(completion)])
    content, lead = _find_reply(text, before, after, completion)
    prompt_stop = _common_length(opening, text)
    if prompt_stop < len(opening):
        _warn_once(
            f"The chat template ends a prompt with {opening[prompt_stop:]!r}, but leaves that out before a reply; the "
            "model is trained without it."
        )
    return _Rendered(text, min(prompt_stop, content.start), content, shift=content.start - lead)


def _around_reply(turns: Sequence[dict[str, str]], tokenizer: Any) -> tuple[str, str]:
    """What the template writes before and after a reply, told by a probe: the reply itself may stand there twice."""
    before, found, after = _apply_template(tokenizer, [*turns, _reply(_PROBE)]).partition(_PROBE)
    if not found:
        raise TrainingError("the chat template leaves out the assistant's reply; use the template of a chat model")
    return before, after


def _find_reply(text: str, before: str, after: str, completion: str) -> tuple[Span, int]:
    """Where the reply stands in the conversation, and how many characters the template stripped off its front."""
    content = Span(start=len(before), stop=max(len(text) - len(after), len(before)))
    reply = text[content.start : content.stop]
    lead = 0 if completion.startswith(reply) else len(completion) - len(completion.lstrip())
    same = text.startswith(before) and text.endswith(after) and reply.strip() == completion.strip()
    if not same or not completion.startswith(reply, lead):
        raise SpanError(
            "the chat template changes the completion by more than stripping it, so its spans can't be found in the "
            f"rendered text (got {reply[:80]!r}, expected {completion[:80]!r}); use another template"
        )
    return content, lead


def _reply(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def check_template(tokenizer: Any) -> None:
    """Refuse with a TrainingError a tokenizer without the chat template that prompts of messages need."""
    if not tokenizer.chat_template:
        named = f"model {tokenizer.name_or_path}: " if getattr(tokenizer, "name_or_path", "") else ""
        raise TrainingError(
            f"{named}the prompt is a list of messages, but the tokenizer has no chat template; give it one with "
            "training.chat_template=instruction (plain text, for base models), train a chat model, or make the pairs "
            "again with pairing.prompt_format=text"
        )


def _apply_template(tokenizer: Any, messages: list[dict[str, str]], add_generation_prompt: bool = False) -> str:
    check_template(tokenizer)
    try:
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=add_generation_prompt)
    except TemplateError as error:
        roles = ", ".join(message["role"] for message in messages)
        raise TrainingError(f"the chat template refuses a conversation of {roles}: {error}") from None
    return str(text)


def _common_length(one: Sequence[Any], other: Sequence[Any]) -> int:
    """How many leading elements two sequences share."""
    return len([*takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))])


@cache
def _warn_once(message: str) -> None:
    logger.warning(message)
