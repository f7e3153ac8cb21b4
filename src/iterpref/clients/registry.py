"""All kinds of clients. A new one is a file with its settings, and a line here: an import, and its place in the union.

Not here: what a kind is (settings.py).
"""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from iterpref.clients.local.settings import LocalConfig
from iterpref.clients.openai.settings import OpenAIConfig
from iterpref.clients.replay import ReplayConfig
from iterpref.clients.settings import ClientConfig

Kinds = LocalConfig | OpenAIConfig | ReplayConfig


def _local_unless_said(values: Any) -> Any:
    return {"kind": DEFAULT.kind, **values} if isinstance(values, dict) else values


AnyClientConfig = Annotated[Kinds, Field(discriminator="kind"), BeforeValidator(_local_unless_said)]
"""A section of the configuration that holds the keys of one kind; without `kind`, those of a local model."""

DEFAULT = LocalConfig()


def in_this_process(settings: ClientConfig, model: str) -> LocalConfig:
    """Settings that load `model` here; batch size and device are those of `settings`, where it loads its model too."""
    own = settings if isinstance(settings, LocalConfig) else DEFAULT
    return own.model_copy(update={"model": model})
