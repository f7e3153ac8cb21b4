"""Which weights does a server serve under a name? What `GET models` says of them, as a short hash.

vLLM and SGLang name the folder or id that was loaded (`root`), and for a LoRA its base (`parent`); where the server is
this machine and `root` a folder of it, the folder's content counts. llama.cpp gives sizes (`meta`). `created` is not
used: for most servers it is the time of the question.
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
    key = os.environ.get(settings.api_key_env, "")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(f"{url}/models", headers=headers), timeout=ASK_S) as reply:
            models = json.loads(reply.read())["data"]
        [card] = [model for model in models if model["id"] == settings.model]
    except urllib.error.HTTPError as error:
        return None if error.code >= 500 else ""
    except OSError:
        return None
    except (ValueError, KeyError, TypeError):  # no list of models, or not one of this name
        return ""
    told = _told(card, urlsplit(url).hostname in _LOCAL)
    return fingerprint(told)[:8] if told else ""


def _told(card: dict[str, Any], local: bool) -> dict[str, Any]:
    told = {name: card[name] for name in _TELLING if card.get(name) and card[name] != card["id"]}
    root = str(card.get("root") or card["id"])
    if local and Path(root).is_absolute() and Path(root).is_dir():
        told["content"] = folder_identity(root)
    return told
