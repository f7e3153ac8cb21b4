"""A transformers model in this process: the keys of this kind of client."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal

from pydantic import Field

from iterpref.clients.base import Client, ClientConfig, Request
from iterpref.doing import doing
from iterpref.model_source import model_source, template_identity
from iterpref.packages import FOR_MODELS, need_packages
from iterpref.playground.coder import describe_model, resolve_model


class LocalConfig(ClientConfig):
    """A transformers model in this process."""

    kind: Literal["local"] = "local"
    model: str = "playground"
    """`playground`, a model folder, or a hub id."""
    batch_size: int = Field(default=64, gt=0)
    """Requests decoded together, at most."""
    batch_tokens: int = Field(default=1 << 15, gt=0)
    """Tokens held at once, at most: requests decoded together, times the longest of them with its prompt."""
    device: str = "auto"
    """`auto` takes CUDA when there is one; else any torch device name."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Of weights and states. `auto`: as stored on a GPU, `float32` on a CPU. `bfloat16` is faster on a CPU with AMX
    (`grep -c amx_bf16 /proc/cpuinfo`), and slow on others; near-ties, where a text may change with what is decoded
    beside it, are more frequent."""

    chat_template: str | None = None
    """For a model whose tokenizer has none, as a base model: `chatml`, `instruction` (headings in plain text), `plain`
    (nothing but the texts), or a Jinja file. A tokenizer that has one keeps it."""

    def describe(self) -> str:
        return f"{describe_model(self.model)} in this process"

    def manner(self, request: Request) -> str:
        if self.chat_template is None or request.raw:
            return ""
        return f"chat template {template_identity(self.chat_template)} where there is none"

    @property
    def known_as(self) -> str:
        return f"local:{Path(resolve_model(self.model)).name}:"

    @property
    def at_a_time(self) -> int:
        return 4 * self.batch_size  # always some that wait, and wherever one ends another begins

    def price(self) -> None:
        return None

    @contextmanager
    def open(self, folder: Path) -> Iterator[Client]:
        model = resolve_model(self.model)
        source = model_source(model)
        need_packages("a model in this process", *FOR_MODELS)
        with doing("loading torch"):
            from iterpref.clients.local.client import LocalClient
        with doing(f"loading {describe_model(self.model).rstrip(',')}"):
            opened = LocalClient(
                source, self.batch_size, self.device, model, self.batch_tokens, self.dtype, self.chat_template
            )
        with closing(opened) as client:
            yield client


def loaded_dtype(dtype: str, device: str) -> str:
    """What `auto` means on a device, in transformers' words (where `auto` is as stored)."""
    return "float32" if dtype == "auto" and not device.startswith("cuda") else dtype
