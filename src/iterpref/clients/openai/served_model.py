"""Which weights does a server serve under a name? What `GET models` says of them, as a short hash.

vLLM and SGLang name the folder or id that was loaded (`root`), and for a LoRA its base (`parent`); llama.cpp gives
sizes (`meta`). Where the server is this machine, and `root` or the model's name a folder or file of it, the content
counts: also where the server lists other models (`transformers serve` lists its cache, and fails without one).
`created` is not used: for most servers it is the time of the question.
"""

import json
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from iterpref.clients.openai import OpenAIConfig
from iterpref.model_identity import folder_identity
from iterpref.records import fingerprint

ASK_S = 5.0
_LOCAL = ("127.0.0.1", "localhost", "::1")
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
    told = _told({"id": settings.model, **card}, urlsplit(url).hostname in _LOCAL)
    return fingerprint(told)[:8] if told else silent


def _card(url: str, settings: OpenAIConfig) -> dict[str, Any]:
    """What the server says of the model."""
    key = os.environ.get(settings.api_key_env, "")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    with urllib.request.urlopen(urllib.request.Request(f"{url}/models", headers=headers), timeout=ASK_S) as reply:
        models = json.loads(reply.read())["data"]
    [card] = [model for model in models if model["id"] == settings.model]
    return dict(card)


def _told(card: dict[str, Any], local: bool) -> dict[str, Any]:
    told = {name: card[name] for name in _TELLING if card.get(name) and card[name] != card["id"]}
    root = str(card.get("root") or card["id"])
    if local and Path(root).is_absolute() and Path(root).exists():
        told["content"] = folder_identity(root)
    return told
