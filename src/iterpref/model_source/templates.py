"""Chat templates for tokenizers without one, as base models have them, and the token with which a template ends a turn.

A template is text for jinja2, in transformers' form. Each here ends a reply with a token that ends texts, so that a
model that is trained on it learns to stop.
"""

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from iterpref.errors import ClientError

TEMPLATES = {
    # Tokens of its own around each turn; a tokenizer has to know them.
    "chatml": (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    ),
    # Headings in plain text, as Alpaca's and DeepSeek-Coder's instruction data have them.
    "instruction": (
        "{% for m in messages %}{% if m.role == 'assistant' %}{{ m.content }}{{ eos_token }}\n\n"
        "{% elif m.role == 'user' %}### Instruction:\n{{ m.content }}\n\n### Response:\n"
        "{% else %}{{ m.content }}\n\n{% endif %}{% endfor %}"
    ),
    # Nothing but the texts.
    "plain": (
        "{% for m in messages %}{% if m.role == 'assistant' %}{{ m.content }}{{ eos_token }}\n\n"
        "{% else %}{{ m.content }}\n{% endif %}{% endfor %}"
    ),
}
_CHATML_TOKENS = ("<|im_start|>", "<|im_end|>")
_REPLY = "iterpref probe of the end of a turn"


def give_template(tokenizer: Any, template: str | None, model: str, replace: bool = False) -> None:
    """Give a tokenizer this chat template: a name in `TEMPLATES`, or a Jinja file. It keeps one of its own unless that
    is to be replaced.

    Raises:
        ClientError: No such name or file, or the tokenizer has no tokens for it.
    """
    if template is None or (tokenizer.chat_template and not replace):
        return
    text = _text(template)
    if template == "chatml" and not all(token in tokenizer.get_vocab() for token in _CHATML_TOKENS):
        raise ClientError(
            f"model {model}: chat_template=chatml needs the tokens {' and '.join(_CHATML_TOKENS)}, which its tokenizer "
            "doesn't have; take chat_template=instruction, which is plain text"
        )
    if tokenizer.eos_token is None and "eos_token" in text:
        raise ClientError(
            f"model {model}: its tokenizer has no eos_token, with which chat_template={template} ends a reply; set one "
            "in tokenizer_config.json"
        )
    begins = tokenizer("x")["input_ids"][:1] == [tokenizer.bos_token_id]  # a template writes its special tokens itself
    tokenizer.chat_template = ("{{ bos_token }}" if begins else "") + text


def end_of_turn(tokenizer: Any) -> str | None:
    """The special token with which the chat template ends a reply; None where it writes none, or there is no template.

    Raises:
        Exception: Whatever the template raises for a user's turn and a reply.
    """
    if not tokenizer.chat_template:
        return None
    turns = [{"role": "user", "content": "Write f."}, {"role": "assistant", "content": _REPLY}]
    _, _, after = str(tokenizer.apply_chat_template(turns, tokenize=False)).partition(_REPLY)
    special = {str(token) for token in tokenizer.added_tokens_decoder.values() if token.special}
    special |= set(tokenizer.all_special_tokens)
    return next((token for token in tokenizer.tokenize(after) if token in special), None)


def template_identity(template: str) -> str:
    """What tells templates apart: a name, or a file's name with a hash of what is in it."""
    if template in TEMPLATES:
        return template
    return f"{Path(template).name} {hashlib.sha256(_text(template).encode()).hexdigest()[:8]}"


@cache
def _text(template: str) -> str:
    if template in TEMPLATES:
        return TEMPLATES[template]
    path = Path(template)
    if not path.is_file():
        raise ClientError(
            f"chat_template={template}: no such template; expected {', '.join(TEMPLATES)}, or the path of a Jinja file"
        )
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ClientError(f"chat_template={template}: can't be read ({error})") from None
    if not text.strip():
        raise ClientError(f"chat_template={template}: the file is empty; expected a Jinja template of a conversation")
    return text
