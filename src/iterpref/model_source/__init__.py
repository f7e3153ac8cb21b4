"""Where a model comes from, a folder or the hub, and what is wrong with it, told in one line before it is loaded.

Asked by everything that loads a model (training, local clients, counting tokens). `model_source` looks at files alone
and comes before torch: a wrong name costs a second. `check_chat`, `check_vocabulary` and `Plan` (how large it will be)
come before the weights. What is only found by loading them is `loading`'s. Nothing here reads a weight.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from iterpref.errors import ClientError
from iterpref.model_source.files import ADAPTER, EXPECTED, check_folder, refuse_file
from iterpref.model_source.hub import from_hub, is_hub_id
from iterpref.model_source.memory import Need, check_memory
from iterpref.model_source.plan import Plan, plan_of
from iterpref.model_source.templates import TEMPLATES, end_of_turn, give_template, template_identity
from iterpref.model_source.tokens import check_chat, check_vocabulary

__all__ = ["TEMPLATES", "Need", "Plan", "check_chat", "check_memory", "check_vocabulary", "described_source",
           "end_of_turn", "give_template", "loading", "model_source", "plan_of", "template_identity"]  # fmt: skip


def model_source(model: str, weights: bool = True, tokenizer: bool = True, adapter: bool = True) -> str:
    """What to hand to a loader: the folder or hub id itself, or the folder of the hub's cache if the hub is away.

    Args:
        model: A folder, or a hub id.
        weights: False where the tokenizer alone is loaded.
        tokenizer: False where the weights alone are loaded.
        adapter: False where a whole model is needed.

    Raises:
        ClientError: There is no such folder, it lacks a part, or the hub doesn't have the model or can't be reached.
    """
    path = Path(model)
    if path.is_dir():
        if not adapter and (path / ADAPTER).is_file():
            raise ClientError(f"model {model}: is an adapter; merge it first, or give the folder of a whole model")
        base = check_folder(path, model, weights, tokenizer)
        if base:
            _check_base(base, model)
        return model
    if path.exists():
        refuse_file(path, model)
    if not is_hub_id(model):
        raise ClientError(f"model {model}: no such folder; a hub id has the form owner/name")
    source = from_hub(model)
    if source != model:
        check_folder(Path(source), f"{model} (in the hub's cache)", weights, tokenizer)
    return source


def described_source(model: str) -> str:
    """The same where the config alone is read: a folder without weights, and without a tokenizer, will do.

    Raises:
        ClientError: There is no config.json, or the hub can't be reached; with what to download.
    """
    try:
        source = model_source(model, weights=False, tokenizer=False, adapter=False)
    except ClientError as error:
        if not is_hub_id(model) or "hf download" not in str(error):
            raise
        wanted = '--include "*.json" "*.jinja" "*.txt"'
        raise ClientError(
            f"{error}. A few small files will do here, no weights: hf download {model} {wanted} --local-dir FOLDER"
        ) from None
    if Path(source).is_dir() and not (Path(source) / "config.json").is_file():
        raise ClientError(f"model {model}: the folder has no config.json, which says what the model is")
    return source


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


def _check_base(base: str, adapter: str) -> None:
    """Refuse an adapter whose model isn't there."""
    try:
        model_source(base, tokenizer=False)
    except ClientError as error:
        raise ClientError(
            f"model {adapter}: is an adapter (adapter_config.json), and the model that it belongs to "
            f"(base_model_name_or_path) can't be used: {error}"
        ) from None
