"""Sources of completions behind one async protocol (`base.Client`), and the ledger that pays each call once.

A new kind of client is a file with its settings (`base.ClientConfig`), and a line in `KINDS`.
"""

from pkgutil import resolve_name
from typing import TYPE_CHECKING, Annotated, Union

from pydantic import BeforeValidator, Field

from iterpref.clients.ask import ask_all
from iterpref.clients.base import Client, ClientConfig, Completion, Request, Sampling
from iterpref.clients.ledger import Budget, BudgetConfig, Ledger, open_ledger
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
    "LocalConfig",
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

if TYPE_CHECKING:
    AnyClientConfig = ClientConfig
else:
    # A section of the configuration that holds the keys of one kind.
    AnyClientConfig = Annotated[
        Union[tuple(resolve_name(f"{__name__}.{kind}") for kind in KINDS)],  # noqa: UP007
        Field(discriminator="kind"),
        BeforeValidator(lambda values: {"kind": DEFAULT.kind, **values} if isinstance(values, dict) else values),
    ]


def in_this_process(settings: ClientConfig, model: str) -> LocalConfig:
    """Settings that load `model` here; batch size and device are those of `settings`, where it loads its model too."""
    return (settings if isinstance(settings, LocalConfig) else DEFAULT).model_copy(update={"model": model})
