"""Sources of completions behind one async protocol (`base.Client`), and the ledger that pays each call once.

A new kind of client is a file with its settings (`base.ClientConfig`), and two words here: its import, and its place
in `Kinds`.
"""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from iterpref.clients.ask import ask_all
from iterpref.clients.base import Client, ClientConfig, Completion, Price, Request, Sampling
from iterpref.clients.budget import Budget, BudgetConfig
from iterpref.clients.ledger import Ledger, open_ledger
from iterpref.clients.local import LocalConfig
from iterpref.clients.openai import OpenAIConfig
from iterpref.clients.replay import ReplayConfig

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

Kinds = LocalConfig | OpenAIConfig | ReplayConfig
DEFAULT = LocalConfig()


def _default_unless_said(values: Any) -> Any:
    return {"kind": DEFAULT.kind, **values} if isinstance(values, dict) else values


AnyClientConfig = Annotated[Kinds, Field(discriminator="kind"), BeforeValidator(_default_unless_said)]
"""A section of the configuration that holds the keys of one kind."""


def in_this_process(settings: ClientConfig, model: str) -> LocalConfig:
    """Settings that load `model` here; batch size and device are those of `settings`, where it loads its model too."""
    own = settings if isinstance(settings, LocalConfig) else DEFAULT
    return own.model_copy(update={"model": model})
