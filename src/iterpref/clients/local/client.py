"""A transformers model in this process: batched, with a KV cache, seeded per request.

A completion depends on its request alone, not on what else is in the batch: tokens are drawn by the Gumbel-max trick
with noise from a generator seeded by (seed, sample index, messages), so the same request gives the same text after a
restart with other companions. (Up to float rounding: a batch of another shape may round logits differently, which can
only matter where two tokens' perturbed logits agree to about six digits.)
"""

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LogitsProcessor, LogitsProcessorList
from transformers.utils import logging

from iterpref.clients.base import Completion, Request, Sampling
from iterpref.errors import ClientError, RefusedError
from iterpref.model_identity import network_identity
from iterpref.model_source import loading
from iterpref.records import fingerprint


class LocalClient:
    """Decode with a local model; without a chat template it answers raw requests only. What waits together is a batch.

    Raises:
        ClientError: The model or its tokenizer doesn't load.
    """

    def __init__(
        self, source: str | Path, batch_size: int = 64, device: str = "auto", model: str | None = None
    ) -> None:
        """`model` is what results call it, where that isn't `source`, from which it is loaded."""
        self._device = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        self._batch_size = batch_size
        self._tokenizer, self._model = _load(str(source), self._device)
        self._positions = getattr(self._model.config, "max_position_embeddings", None) or 1 << 30
        eos, pad = self._model.generation_config.eos_token_id, self._tokenizer.pad_token_id
        eos = self._tokenizer.eos_token_id if eos is None else eos
        self._eos_ids = set(eos) if isinstance(eos, list) else {eos}
        self._pad_id = next(iter(self._eos_ids)) if pad is None else int(pad)
        self._tokenizing = threading.Lock()  # padding is state inside a fast tokenizer
        self.name = f"local:{network_identity(model or str(source), self._model)}"
        self._waiting: list[tuple[Request, asyncio.Future[Completion]]] = []
        self._pump: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="local-model")

    async def complete(self, request: Request) -> Completion:
        self._check_room(request)
        future: asyncio.Future[Completion] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, future))
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._decode_waiting())
        return await future

    def close(self) -> None:
        self._thread.shutdown(wait=True)

    async def _decode_waiting(self) -> None:
        """Decode batch after batch until nobody waits."""
        await asyncio.sleep(0)  # lets everybody who asks in this turn of the loop join the first batch
        while self._waiting:
            batch = self._next_batch()
            loop, requests = asyncio.get_running_loop(), [request for request, _ in batch]
            try:
                completions = await loop.run_in_executor(self._thread, self._decode, requests)
            except Exception as error:
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
                continue
            for (_, future), completion in zip(batch, completions, strict=True):
                if not future.done():
                    future.set_result(completion)

    def _next_batch(self) -> list[tuple[Request, asyncio.Future[Completion]]]:
        """The first waiting request and those that share its parameters, of like length to keep padding small."""
        first = _shape(self._waiting[0][0])
        alike = [item for item in self._waiting if _shape(item[0]) == first]
        batch = sorted(alike, key=lambda item: sum(len(m.content) for m in item[0].messages))[: self._batch_size]
        taken = {id(item) for item in batch}
        self._waiting = [item for item in self._waiting if id(item) not in taken]
        return batch

    @torch.inference_mode()
    def _decode(self, requests: Sequence[Request]) -> list[Completion]:
        sampling = requests[0].sampling
        prompts = [self._render(request) for request in requests]
        with self._tokenizing:
            encoded = self._tokenizer(
                prompts, return_tensors="pt", padding=True, padding_side="left", add_special_tokens=False
            ).to(self._device)
        width = encoded["input_ids"].shape[1]
        draw = [] if sampling.temperature == 0 else [_GumbelDraw(requests, self._device)]
        output = self._model.generate(
            input_ids=encoded["input_ids"],
            attention_mask=encoded["attention_mask"],
            max_new_tokens=min(sampling.max_tokens, self._positions - width),
            do_sample=False,
            temperature=None,
            top_p=None,
            top_k=None,
            logits_processor=LogitsProcessorList(draw),
            pad_token_id=self._pad_id,
            **({"stop_strings": list(sampling.stop), "tokenizer": self._tokenizer} if sampling.stop else {}),
        )
        lengths = encoded["attention_mask"].sum(dim=1).tolist()
        rows = zip(output, lengths, strict=True)
        return [self._completion(row[width:].tolist(), length, sampling.stop) for row, length in rows]

    def _render(self, request: Request) -> str:
        """The prompt as text: through the chat template, with a turn of the assistant left open if there is one."""
        if request.raw:
            bos = self._tokenizer.bos_token if getattr(self._tokenizer, "add_bos_token", False) else None
            return f"{bos or ''}{request.messages[0].content}"
        if not self._tokenizer.chat_template:
            raise ClientError(f"{self.name}: its tokenizer has no chat template; use evaluation.protocol=base")
        turns = [message.model_dump() for message in request.messages]
        begun = turns.pop()["content"] if turns[-1]["role"] == "assistant" else ""
        return str(self._tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)) + begun

    def _completion(self, tokens: list[int], prompt_tokens: int, stops: tuple[str, ...]) -> Completion:
        """Cut one row of generated ids, shape (new tokens,), at its end-of-sequence token, its text at a stop text."""
        stop = next((i for i, token in enumerate(tokens) if token in self._eos_ids), None)
        kept = tokens if stop is None else tokens[:stop]
        return Completion(
            text=self._tokenizer.decode(kept, skip_special_tokens=True),
            finish_reason="length" if stop is None else "stop",
            prompt_tokens=prompt_tokens,
            completion_tokens=len(kept) + (stop is not None),
        ).cut(stops)

    def _check_room(self, request: Request) -> None:
        """Refuse a prompt that fills the context, before it can spoil a batch."""
        with self._tokenizing:
            width = len(self._tokenizer(self._render(request), add_special_tokens=False)["input_ids"])
        if width >= self._positions:
            raise RefusedError(
                f"{self.name}: a prompt of {width} tokens does not fit into the model's {self._positions} positions; "
                f"it begins with {request.messages[0].content[:80]!r}. Shorten it, or use a model with more context"
            )


class _GumbelDraw(LogitsProcessor):  # type: ignore[misc]  # transformers is not typed
    """Turn greedy decoding into sampling, each row with its own generator: argmax(logits / T + Gumbel noise)."""

    def __init__(self, requests: Sequence[Request], device: str) -> None:
        self._sampling = requests[0].sampling
        self._generators = [torch.Generator().manual_seed(_draw_seed(request)) for request in requests]
        self._device = device

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """`scores`: (batch, vocabulary) logits → perturbed logits of the same shape."""
        logits = scores.float() / self._sampling.temperature
        if self._sampling.top_p < 1:
            logits = _nucleus(logits, self._sampling.top_p)
        uniform = torch.stack([torch.rand(scores.shape[1], generator=g) for g in self._generators])
        noise = -torch.log(-torch.log(uniform.clamp(1e-20, 1 - 1e-7)))
        return logits + noise.to(self._device)


def _nucleus(logits: torch.Tensor, top_p: float) -> torch.Tensor:
    """Remove tokens outside the smallest set whose probability reaches `top_p`; shape (batch, vocabulary)."""
    ordered, order = logits.sort(dim=-1, descending=True)
    probabilities = ordered.softmax(dim=-1)
    outside = probabilities.cumsum(dim=-1) - probabilities >= top_p
    return logits.masked_fill(outside.scatter(-1, order, outside), float("-inf"))


def _draw_seed(request: Request) -> int:
    messages = [message.model_dump() for message in request.messages]
    return int(fingerprint([request.sampling.seed, request.sample_index, messages])[:15], 16)


def _shape(request: Request) -> Sampling:
    """Requests that agree in this can be decoded together."""
    return request.sampling.model_copy(update={"seed": 0})


def _load(source: str, device: str) -> tuple[Any, Any]:
    logging.disable_progress_bar()  # commands show their own progress
    with loading(source):
        tokenizer = AutoTokenizer.from_pretrained(source)
        dtype = "auto" if device.startswith("cuda") else torch.float32
        loaded = AutoModelForCausalLM.from_pretrained(source, dtype=dtype)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    # A second CPU thread gains a small model little on an idle machine, and costs much on a busy one.
    if device == "cpu" and loaded.num_parameters() < 20_000_000:
        torch.set_num_threads(1)
    return tokenizer, loaded.to(device).eval()
