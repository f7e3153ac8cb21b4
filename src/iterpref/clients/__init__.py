"""Sources of completions behind one async protocol (`base.Client`), and the ledger that pays each call once.

A new kind of client is a file with its settings (`base.ClientConfig`), and a line in `KINDS`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, Union

from pydantic import BeforeValidator, Field

from iterpref.clients.ask import ask_all
from iterpref.clients.base import Client, ClientConfig, Completion, Price, Request, Sampling
from iterpref.clients.budget import Budget, BudgetConfig
from iterpref.clients.ledger import Ledger, open_ledger
from iterpref.clients.local import LocalConfig

__all__ = [
    "DEFAULT",
    "AnyClientConfig",
    "Budget",
    "BudgetConfig",
    "Client",
    "ClientConfig",
    "Completion",
    "Ledger",
    "Price",
    "Request",
    "Sampling",
    "ask_all",
    "in_this_process",
    "open_ledger",
]

# File or folder beside this one, and its settings; the first is meant where a section doesn't say its kind.
KINDS = (
    "local.LocalConfig",
    "openai.OpenAIConfig",
    "replay.ReplayConfig",
)
DEFAULT = LocalConfig()


def _default_unless_said(values: Any) -> Any:
    return {"kind": DEFAULT.kind, **values} if isinstance(values, dict) else values


def _settings(kind: str) -> type[ClientConfig]:
    file, _, name = kind.partition(".")
    found: type[ClientConfig] = getattr(import_module(f"{__name__}.{file}"), name)
    return found


if TYPE_CHECKING:
    AnyClientConfig = ClientConfig
else:
    # A section of the configuration that holds the keys of one kind.
    AnyClientConfig = Annotated[
        Union[tuple(map(_settings, KINDS))],  # noqa: UP007
        Field(discriminator="kind"),
        BeforeValidator(_default_unless_said),
    ]


def in_this_process(settings: ClientConfig, model: str) -> LocalConfig:
    """Settings that load `model` here; batch size and device are those of `settings`, where it loads its model too."""
    own = settings if isinstance(settings, LocalConfig) else DEFAULT
    return own.model_copy(update={"model": model})
