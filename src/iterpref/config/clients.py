"""Sections on where completions come from and what they may cost."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

# A key pasted here by mistake must not reach a log.
MAY_HOLD_SECRETS = {"api_key_env", "base_url"}


class Section(BaseModel):
    """Base of all sections: immutable, strict about keys, documented under each field."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class SamplingConfig(Section):
    """How a model is asked for one completion."""

    temperature: float = Field(default=0.8, ge=0)
    """0 is greedy decoding."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Nucleus: the smallest set of tokens whose probability reaches this share."""
    max_tokens: int = Field(default=1024, gt=0)
    """New tokens per completion."""


class EvaluationSamplingConfig(SamplingConfig):
    """The same, greedy unless said otherwise."""

    temperature: float = Field(default=0.0, ge=0)
    """0 is greedy decoding."""


class ClientConfig(Section):
    """Where completions come from."""

    kind: Literal["local", "openai", "replay"] = "local"
    """`local`: a transformers model in this process. `openai`: any OpenAI-compatible server. `replay`: a recording."""
    model: str = "playground"
    """`playground`, a model folder, or a hub id; for `openai` the server's name of it; for `replay` a JSONL file."""
    batch_size: int = Field(default=64, gt=0)
    """Requests decoded together by a local model."""
    device: str = "auto"
    """`auto` takes CUDA when there is one; else any torch device name."""
    base_url: str | tuple[str, ...] = "https://api.openai.com/v1"
    """Address of the `openai` server, up to `/v1`; several addresses of the same model share the load."""
    api_key_env: str = Field(default="OPENAI_API_KEY", pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")
    """Name of the environment variable that holds the key; servers of one's own need none."""
    concurrency: int = Field(default=64, gt=0)
    """Most requests in flight per address; how many below that is found while running."""
    timeout_s: float = Field(default=300.0, gt=0)
    """Most seconds from sending a request to the last byte of its answer."""
    max_attempts: int = Field(default=8, gt=0)
    """Attempts at one call before it is given up; waiting out a 429 is none."""
    give_up_s: float = Field(default=900.0, gt=0)
    """Most seconds spent on one call, all attempts and waits together."""
    extra_body: dict[str, Any] = {}
    """Further keys of the request, such as `chat_template_kwargs` or `reasoning_effort`; part of the ledger key."""
    omit: tuple[str, ...] = ()
    """Parameters not to send, such as `temperature`; those that the server refuses are left out anyway."""
    prefill: Literal["continue_final_message", "prefix", "plain"] = "continue_final_message"
    """How a begun turn of the assistant is marked for continuing (protocol `chat`): by vLLM's and SGLang's keys, by
    `prefix` in the message (DeepSeek, Mistral), or not at all, for servers that continue it anyway."""
    identity: str | None = None
    """Name in the ledger; default: model and address. Give one when a model's address changes."""
    batch: bool = False
    """Ask through the server's Batch API: cheaper, within hours. Set debugging.concurrency to the size of a wave."""
    batch_poll_s: float = Field(default=60.0, gt=0)
    """Seconds between two looks at a batch."""
    serve: Literal["vllm"] | None = None
    """Start `vllm serve` for `model` (a folder or hub id) and stop it afterwards; `base_url` is not used then."""
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
        urls = (value,) if isinstance(value, str) else value
        for url in urls:
            if not url.startswith(("http://", "https://")):
                raise ValueError("expected one or more addresses that start with http:// or https://")
            if "@" in url or "?" in url:
                raise ValueError("an address holds no user, password or query; keys come from the environment")
        if not urls:
            raise ValueError("expected at least one address")
        return value


class BudgetConfig(Section):
    """What calls to endpoints may cost, over the whole life of the run folder."""

    max_calls: int | None = Field(default=None, ge=0)
    """Answered calls; default: unbounded."""
    max_budget_usd: float | None = Field(default=None, ge=0)
    """US dollars by the prices of the clients; never exceeded, also by calls in flight."""
