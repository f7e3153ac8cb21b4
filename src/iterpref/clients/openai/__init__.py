"""Any OpenAI-compatible server, a `vllm serve` of our own included: the keys of this kind of client."""

from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from iterpref.clients.base import Client, ClientConfig, Price, Request
from iterpref.clients.openai.serve import served
from iterpref.records import fingerprint
from iterpref.run_folder import RunFolder


class OpenAIConfig(ClientConfig):
    """Any OpenAI-compatible server."""

    kind: Literal["openai"] = "openai"
    model: str = "playground"
    """The server's name of the model."""
    base_url: str | tuple[str, ...] = Field(default="https://api.openai.com/v1", repr=False)
    """Address of the server, up to `/v1`; several addresses of the same model share the load."""
    api_key_env: str = Field(default="OPENAI_API_KEY", pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$", repr=False)
    """Name of the environment variable that holds the key; servers of one's own need none."""
    concurrency: int = Field(default=64, gt=0)
    """Most requests in flight per address; how many below that is found while running."""
    timeout_s: float = Field(default=300.0, gt=0)
    """Most seconds from sending a request to the last byte of its answer."""
    max_attempts: int = Field(default=8, gt=0)
    """Attempts at one call before it is given up; waiting out a 429 is none."""
    give_up_s: float = Field(default=900.0, gt=0)
    """Most seconds spent on one call, all attempts and waits together."""
    extra_body: dict[str, Any] = Field(default_factory=dict)
    """Further keys of the request, such as `chat_template_kwargs` or `reasoning_effort`; part of the ledger key."""
    omit: tuple[str, ...] = ()
    """Parameters not to send, such as `temperature`; those that the server refuses are left out anyway."""
    prefill: Literal["continue_final_message", "prefix", "plain"] = "continue_final_message"
    """How a begun turn of the assistant is marked for continuing (protocol `chat`): by vLLM's and SGLang's keys, by
    `prefix` in the message (DeepSeek, Mistral), or not at all, for servers that continue it anyway."""
    identity: str | None = None
    """Name in the ledger; default: model and address. Give one when a model's address changes."""
    revision: str = ""
    """Names the weights where the server can't tell (a date, a commit): another one asks everything anew."""
    fingerprint: Literal["model", "system", "text"] | None = None
    """Ask one short question before all others, and file calls also under what answers it: the `model` that the reply
    names (hosted models name a dated one), its `system_fingerprint`, too, or the greedy `text`, too. The more is looked
    at, the sooner everything is asked, and paid, anew."""
    batch: bool = False
    """Ask through the server's Batch API: cheaper, within hours. All that a step asks at once is one wave."""
    batch_poll_s: float = Field(default=60.0, gt=0)
    """Seconds between two looks at a batch."""
    serve: Literal["vllm"] | None = None
    """Start `vllm serve` for `model` (a folder or hub id) and stop it afterwards; `base_url` is not used then."""
    servers: int = Field(default=1, gt=0)
    """How many `vllm serve` to start, which share the load, each on GPUs of its own: one, or as many as
    `--tensor-parallel-size` and `--pipeline-parallel-size` in `serve_args` say."""
    serve_args: tuple[str, ...] = ()
    """Further arguments of `vllm serve`, such as `--tensor-parallel-size=4`."""
    serve_start_s: float = Field(default=900.0, gt=0)
    """Most seconds until it must be ready."""
    lora: str | None = None
    """Folder of a LoRA that `vllm serve` puts on top of `model`."""
    prompt_usd_per_million: float = Field(default=0.0, ge=0)
    """Price of a million prompt tokens."""
    completion_usd_per_million: float = Field(default=0.0, ge=0)
    """Price of a million completion tokens."""

    @field_validator("base_url")
    @classmethod
    def _without_secrets(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for url in (value,) if isinstance(value, str) else value:
            if not url.startswith(("http://", "https://")):
                raise ValueError("expected one or more addresses that start with http:// or https://")
            if "@" in url or "?" in url:
                raise ValueError("an address holds no user, password or query; keys come from the environment")
        if not value:
            raise ValueError("expected at least one address")
        return value

    @model_validator(mode="after")
    def _servers_are_served(self) -> "OpenAIConfig":
        if self.servers > 1 and self.serve is None:
            raise ValueError("servers is how many vllm are started; set serve: vllm, or list addresses in base_url")
        return self

    def describe(self) -> str:
        hosts = ", ".join(urlsplit(url).netloc for url in self.urls)
        by = f"{self.servers} vllm serve" if self.servers > 1 else "vllm serve"
        return f"{self.model} by {by}" if self.serve else f"{self.model} at {hosts}"

    @property
    def known_as(self) -> str:
        """Model, address and whatever else changes the answers."""
        if self.identity is None and self.serve:
            return f"openai:{Path(self.model).name}"
        revision = f":{self.revision}" if self.revision else ""
        return f"openai:{self.identity or self._place}{revision}"

    @property
    def _place(self) -> str:
        at = urlsplit(self.urls[0])
        suffix = f":{fingerprint(self.extra_body)[:8]}" if self.extra_body else ""
        return f"{self.model}@{at.hostname}{f':{at.port}' if at.port else ''}{at.path.rstrip('/')}{suffix}"

    @property
    def urls(self) -> tuple[str, ...]:
        return (self.base_url,) if isinstance(self.base_url, str) else self.base_url

    @property
    def at_a_time(self) -> int | None:
        return None if self.batch else self.concurrency * (self.servers if self.serve else len(self.urls))

    def price(self) -> Price:
        return Price(self.prompt_usd_per_million / 1e6, self.completion_usd_per_million / 1e6)

    def weights(self) -> str | None:
        if self.serve or ((self.identity or self.revision) and not self.fingerprint):
            return ""  # named by their content, or by the user
        from iterpref.clients.openai.served_model import told_weights

        return told_weights(self)

    def manner(self, request: Request) -> str:
        begun = not request.raw and request.messages[-1].role == "assistant"
        return f"begun turns by {self.prefill}" if begun and self.prefill != "continue_final_message" else ""

    @contextmanager
    def open(self, folder: Path) -> Iterator[Client]:
        from iterpref.clients.openai.batch import BatchClient
        from iterpref.clients.openai.client import OpenAIClient

        with served(self, RunFolder(folder).logs) if self.serve else nullcontext(self) as settings:
            opened = BatchClient(settings, RunFolder(folder).batches) if self.batch else OpenAIClient(settings)
            with closing(opened) as client:
                yield client
