"""A tokenizer against what is asked of it: a chat template for conversations, and no id without an embedding."""

import logging
from collections.abc import Iterator
from typing import Any

from iterpref.errors import ClientError

logger = logging.getLogger(__name__)

_ASKED = {"role": "user", "content": "Write f."}
_ANSWERED = {"role": "assistant", "content": "pass"}


def check_chat(tokenizer: Any, model: str) -> None:
    """Refuse with a ClientError a tokenizer that can't write a conversation: no chat template, or one that fails."""
    advice = (
        "models are asked in conversations: take an instruct model, or put a chat_template.jinja into the folder, that "
        "of the model's instruct version, or set client.chat_template=instruction (in training "
        "training.chat_template)"
    )
    if not tokenizer.chat_template:
        raise ClientError(
            f"model {model}: its tokenizer has no chat template; {advice}. Only iterpref evaluate can "
            "do without: evaluation.protocol=base has bare text continued"
        )
    try:
        tokenizer.apply_chat_template([_ASKED], tokenize=False, add_generation_prompt=True)
    except Exception as error:  # a jinja error, or several templates without a default one
        reason = " ".join(str(error).split())
        raise ClientError(f"model {model}: its chat template fails on a user's turn ({reason}); {advice}") from error


def check_vocabulary(tokenizer: Any, rows: int | None, model: str) -> None:
    """Refuse with a ClientError a tokenizer that gives ids for which the model has no embedding.

    Special tokens that nothing uses may lie beyond the `rows` of the embedding, as in some published models. Used are
    those that a chat template writes, and those that end, begin or fill up a text.
    """
    if rows is None:
        return
    beyond = {token: number for token, number in tokenizer.get_vocab().items() if number >= rows}
    if not beyond:
        return
    used = set(_used_tokens(tokenizer))
    special = {str(token) for token in tokenizer.added_tokens_decoder.values() if token.special}
    given = [token for token in beyond if token in used or token not in special]
    if given:
        worst = max(given, key=beyond.__getitem__)
        raise ClientError(
            f"model {model}: its tokenizer gives token ids up to {beyond[worst]} ({worst!r}), but the model has "
            f"embeddings for {rows} tokens (ids up to {rows - 1}), {len(given)} too few; the two belong to different "
            "models, or tokens were added without resize_token_embeddings. Take tokenizer and weights of one model"
        )
    logger.warning(
        "model %s: %d special tokens of its tokenizer (%s, ...) have no embedding; a text that holds one can't be used",
        *(model, len(beyond), min(beyond, key=beyond.__getitem__)),
    )


def _used_tokens(tokenizer: Any) -> Iterator[str]:
    """Special tokens that come into texts without standing in them, and what the chat template writes.

    Not the one for unknown text, which transformers gives to tokenizers that know every byte, too.
    """
    yield from filter(None, (tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token))
    if tokenizer.chat_template:
        try:
            text = tokenizer.apply_chat_template([_ASKED, _ANSWERED], tokenize=False)
        except Exception:  # `check_chat` tells it to those who converse
            return
        yield from tokenizer.tokenize(text)
