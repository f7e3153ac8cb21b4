"""Where a model comes from, a folder or the hub, and in one line what is missing where it doesn't load.

Asked by everything that loads a model (training, local clients, counting tokens), before torch is loaded: a wrong name
costs a second, and one question to the hub stands for the minutes in which its client retries. Loads no torch.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from iterpref.errors import ClientError

EXPECTED = "expected a folder with config.json, weights and a tokenizer, or a hub id"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_WEIGHTS = (".safetensors", ".bin", ".safetensors.index.json", ".pt", ".gguf")
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.json", "spiece.model", "vocab.txt")
_HUB_TIMEOUT_S = 10.0
_REFUSALS = (401, 403, 404)


def model_source(model: str, weights: bool = True, tokenizer: bool = True) -> str:
    """What to hand to a loader: the folder or hub id itself, or the folder of the hub's cache if the hub is away.

    Args:
        model: A folder, or a hub id.
        weights: False where the tokenizer alone is loaded.
        tokenizer: False where the weights alone are loaded.

    Raises:
        ClientError: There is no such folder, it lacks a part, or the hub doesn't have the model or can't be reached.
    """
    folder = Path(model)
    if folder.is_dir():
        _check_folder(folder, model, weights, tokenizer)
        return model
    if folder.exists():
        raise ClientError(f"model {model}: is a file; {EXPECTED}")
    if not _HUB_ID.fullmatch(model):
        raise ClientError(f"model {model}: no such folder; a hub id has the form owner/name")
    return _from_hub(model)


@contextmanager
def loading(model: str) -> Iterator[None]:
    """Turns whatever a loader raises within the context into one ClientError of one line."""
    try:
        yield
    except ClientError:
        raise
    except Exception as error:  # loaders raise OSError, ValueError, KeyError, SafetensorError, RuntimeError, ...
        reason = next((line for line in str(error).splitlines() if line.strip()), "no reason given")
        raise ClientError(f"model {model}: doesn't load ({type(error).__name__}: {reason}); {EXPECTED}") from error


def _check_folder(folder: Path, model: str, weights: bool, tokenizer: bool) -> None:
    names = [path.name for path in folder.iterdir()]
    if "adapter_config.json" in names:  # transformers finds the model that it belongs to
        return
    if "training_run.json" in names and "config.json" not in names:
        raise ClientError(
            f"model {model}: holds a training that isn't finished; `iterpref train` goes on with it, and its "
            "checkpoint-* folders are models"
        )
    missing = [] if "config.json" in names or not weights else ["config.json"]
    if weights and not any(name.endswith(_WEIGHTS) for name in names):
        missing.append("weights (*.safetensors)")
    if tokenizer and not any(name in names for name in _TOKENIZER):
        missing.append("tokenizer (tokenizer.json, tokenizer_config.json)")
    if missing:
        there = ", ".join(sorted(names)[:6]) or "nothing"
        raise ClientError(f"model {model}: the folder has no {' and no '.join(missing)}, only {there}; {EXPECTED}")


def _from_hub(model: str) -> str:
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
