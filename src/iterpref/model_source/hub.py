"""A model that is named by its hub id: one question to the hub, instead of the minutes in which its client retries."""

import re
from pathlib import Path

from iterpref.errors import ClientError

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_HUB_TIMEOUT_S = 10.0
_REFUSALS = (401, 403, 404)


def is_hub_id(model: str) -> bool:
    return _HUB_ID.fullmatch(model) is not None


def from_hub(model: str) -> str:
    """The id itself where the hub has it, or the folder of the hub's cache; a ClientError where it is nowhere."""
    from huggingface_hub import constants, try_to_load_from_cache

    cached = try_to_load_from_cache(model, "config.json")
    here = isinstance(cached, str)
    if constants.HF_HUB_OFFLINE:
        away = "HF_HUB_OFFLINE keeps this process from the hub"
    else:
        away = _unreachable(model, constants.ENDPOINT)
        if not away:
            return model
    if here:
        return str(Path(str(cached)).parent)
    raise ClientError(
        f"model {model}: no such folder, not in the hub's cache ({constants.HF_HUB_CACHE}), and {away}; download it "
        f"where there is a network (hf download {model} --local-dir FOLDER) and name the folder"
    )


def _unreachable(model: str, endpoint: str) -> str:
    """Why the hub can't be asked; "" if it has the model. One request, no retry."""
    from huggingface_hub import utils

    try:
        url, headers = f"{endpoint}/api/models/{model}", utils.build_hf_headers()  # type: ignore[attr-defined]
        status = utils.get_session().get(url, headers=headers, timeout=_HUB_TIMEOUT_S).status_code  # type: ignore[attr-defined]
    except Exception as error:  # what a dead network raises has changed with each major version of the hub's client
        reason = (str(error) or type(error).__name__).splitlines()[0]
        return f"{endpoint} can't be reached ({reason})"
    if status in _REFUSALS:
        raise ClientError(
            f"model {model}: no such folder, and {endpoint} shows no such model to this login (status {status}); check "
            "the name, or for a private or gated model accept its terms there and set HF_TOKEN"
        )
    return f"{endpoint} answers with status {status}" if status >= 500 else ""
