"""Which weights does a server serve under a name? What `GET models` says of them, and what answers, as a short hash.

vLLM and SGLang name the folder or id that was loaded (`root`), and for a LoRA its base (`parent`); llama.cpp gives
sizes (`meta`). Where the server is this machine, and `root` or the model's name a folder or file of it, the content
counts: also where the server lists other models (`transformers serve` lists its cache, and fails without one).
`created` is not used: for most servers it is the time of the question. `client.fingerprint` asks the model itself.
"""

import json
import logging
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from iterpref.clients.openai import OpenAIConfig
from iterpref.clients.openai.reply import BadReply, read_reply
from iterpref.errors import EndpointError
from iterpref.model_identity import folder_identity
from iterpref.records import fingerprint

logger = logging.getLogger(__name__)
ASK_S = 5.0
_LOCAL = ("127.0.0.1", "localhost", "::1")
_QUESTION = "Write a Python function that reverses the words of a sentence."
_ANSWER_TOKENS = 32
_TELLING = ("root", "parent", "meta", "digest", "sha256", "revision")


def told_weights(settings: OpenAIConfig) -> str | None:
    """A hash of what tells the weights apart; "" where the server says nothing of them, None where none answers."""
    url = settings.urls[0].rstrip("/")
    card: dict[str, Any] = {}
    silent: str | None = ""
    try:
        card = _card(url, settings)
    except urllib.error.HTTPError as error:
        silent = None if error.code >= 500 else ""
    except OSError:
        return None
    except (ValueError, KeyError, TypeError):
        pass  # no list of models, or not one of this name
    _say_if_others_differ(card, settings)
    told = _told({"id": settings.model, **card}, urlsplit(url).hostname in _LOCAL)
    if settings.fingerprint:
        answered = _answered(url, settings)
        if answered is None:
            return None
        told |= answered
    return fingerprint(told)[:8] if told else silent


def _say_if_others_differ(card: Mapping[str, Any], settings: OpenAIConfig) -> None:
    """Warn where another address says that it serves something else under the same name: answers of both are filed as
    those of the first. No error, for folders of the same weights may have other names elsewhere."""
    for url in settings.urls[1:] if card else ():
        with suppress(OSError, ValueError, KeyError, TypeError):  # it is away, or says nothing of this model
            other = _card(url.rstrip("/"), settings)
            for name in _TELLING:
                if name in card and name in other and card[name] != other[name]:
                    logger.warning(
                        "%s serves %s with %s %s, but %s with %s; if these are other weights, their answers are mixed "
                        "here: leave one address out",
                        *(settings.urls[0], settings.model, name, card[name], url, other[name]),
                    )


def _answered(url: str, settings: OpenAIConfig) -> dict[str, str] | None:
    """What tells of the answer to one short question; None where nothing answers.

    Raises:
        EndpointError: The server refuses the question.
    """
    question = {"model": settings.model, "messages": [{"role": "user", "content": _QUESTION}]} | settings.extra_body
    sampled = {"temperature": 0, "max_tokens": _ANSWER_TOKENS}
    bounded = {name: value for name, value in sampled.items() if name not in settings.omit}
    try:
        try:
            reply = _asked(f"{url}/chat/completions", settings, question | bounded)
        except urllib.error.HTTPError as error:
            if error.code not in (400, 422):
                raise
            reply = _asked(f"{url}/chat/completions", settings, question)  # it takes these parameters under other names
        told = {"model": str(reply.get("model") or "")}
        if settings.fingerprint != "model":
            told["system"] = str(reply.get("system_fingerprint") or "")
        if settings.fingerprint == "text":
            told["text"] = read_reply(json.dumps(reply)).text
    except urllib.error.HTTPError as error:
        if error.code >= 500 or error.code == 429:
            return None
        raise EndpointError(
            f"{url}: {settings.model}: the question of client.fingerprint was refused (status {error.code}); check "
            "client.base_url, client.model and the key, or leave client.fingerprint out"
        ) from None
    except OSError:
        return None
    except (ValueError, AttributeError, BadReply) as error:
        raise EndpointError(
            f"{url}: {settings.model}: no answer to the question of client.fingerprint: {error}"
        ) from None
    return {f"answered {name}": value for name, value in told.items()}


def _card(url: str, settings: OpenAIConfig) -> dict[str, Any]:
    """What the server says of the model."""
    models = _asked(f"{url}/models", settings)["data"]
    [card] = [model for model in models if model["id"] == settings.model]
    return dict(card)


def _asked(address: str, settings: OpenAIConfig, body: dict[str, Any] | None = None) -> Any:
    """The JSON that an address answers, to a POST where there is a body."""
    key = os.environ.get(settings.api_key_env, "")
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, content, headers)
    try:
        with urllib.request.urlopen(request, timeout=ASK_S if body is None else settings.timeout_s) as reply:
            return json.loads(reply.read())
    except urllib.error.HTTPError as error:
        error.close()  # it holds the connection
        raise


def _told(card: dict[str, Any], local: bool) -> dict[str, Any]:
    told = {name: card[name] for name in _TELLING if card.get(name) and card[name] != card["id"]}
    root = str(card.get("root") or card["id"])
    if local and Path(root).is_absolute() and Path(root).exists():
        told["content"] = folder_identity(root)
    return told
