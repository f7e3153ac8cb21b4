"""A transformers model in this process: many texts at a time, each seeded by its own request.

A completion depends on its request alone, not on what is decoded beside it (`draw.py`): the same request gives the same
text after a restart with other companions. (Up to float rounding: a step of another shape may round logits differently,
which can only matter where two tokens' perturbed logits agree to about six digits.)
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from iterpref.clients.activity import Activity
from iterpref.clients.base import Completion, Request
from iterpref.clients.local import loaded_dtype
from iterpref.clients.local.packed import pack_linears
from iterpref.clients.local.probe import decoder
from iterpref.clients.local.row import DecodingRow
from iterpref.clients.local.spelling import Held, Spelling
from iterpref.clients.meter import Meter
from iterpref.errors import ClientError, RefusedError
from iterpref.model_identity import network_identity
from iterpref.model_source import end_of_turn, give_template, loading
from iterpref.records import fingerprint

_TAIL = 8  # tokens that may be needed to write one character
_SMALL = 20_000_000
"""Parameters below which a second CPU thread gains little on an idle machine, and costs much on a busy one; and whose
weights stay in the CPU's caches, where their layout matters little."""


class LocalClient:
    """Decode with a local model; without a chat template it answers raw requests only.

    Raises:
        ClientError: The model or its tokenizer doesn't load.
    """

    def __init__(
        self,
        source: str | Path,
        batch_size: int = 64,
        device: str = "auto",
        model: str | None = None,
        batch_tokens: int = 1 << 15,
        dtype: str = "auto",
        chat_template: str | None = None,
    ) -> None:
        """`model` is what results call it, where that isn't `source`, from which it is loaded; `chat_template`: see
        `LocalConfig`."""
        self._device = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        self._tokenizer, network = _load(str(source), self._device, loaded_dtype(dtype, self._device))
        give_template(self._tokenizer, chat_template, model or str(source))
        self._positions = getattr(network.config, "max_position_embeddings", None) or 1 << 30
        eos = network.generation_config.eos_token_id
        eos = self._tokenizer.eos_token_id if eos is None else eos
        self._ends = frozenset(eos if isinstance(eos, list) else [eos]) - {None}
        self._tokenizing = threading.Lock()  # a fast tokenizer keeps state
        self.name = f"local:{network_identity(model or str(source), network)}"
        if self._device == "cpu" and network.num_parameters() >= _SMALL:
            pack_linears(network)
        self._decoder = decoder(network, batch_size, batch_tokens)
        self._spelling: Spelling | None = None
        self._meter = Meter()
        self._new: list[DecodingRow] = []
        self._asked: dict[DecodingRow, tuple[Request, asyncio.Future[Completion]]] = {}
        self._pump: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="local-model")

    @cached_property
    def _turn_ends(self) -> frozenset[int]:
        """What ends a reply: also the chat template's own token, which no base model's generation_config names."""
        token = end_of_turn(self._tokenizer)
        return self._ends if token is None else self._ends | {self._tokenizer.convert_tokens_to_ids(token)}

    async def complete(self, request: Request) -> Completion:
        row = self._row(request)
        future: asyncio.Future[Completion] = asyncio.get_running_loop().create_future()
        self._asked[row] = (request, future)
        self._new.append(row)
        self._meter.asked += 1
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._decode())
        return await future

    def activity(self) -> Activity | None:
        running, waiting = self._decoder.counts
        return self._meter.activity(self._decoder.made, running, waiting + len(self._new))

    def close(self) -> None:
        self._thread.shutdown(wait=True)

    async def _decode(self) -> None:
        """Step after step until nobody waits."""
        await asyncio.sleep(0)  # lets everybody who asks in this turn of the loop join the first step
        loop = asyncio.get_running_loop()
        while self._new or self._decoder.busy:
            for row in self._new:
                self._decoder.add(row)
            self._new = []
            try:
                ended = await loop.run_in_executor(self._thread, self._decoder.step)
            except Exception as error:
                self._fail(error)
                continue
            for row in ended:
                request, future = self._asked.pop(row)
                self._meter.answered += 1
                if not future.done():
                    future.set_result(self._completion(row, request.sampling.stop))
            if ended:
                await asyncio.sleep(0)  # who was answered stores it before the next step begins

    def _fail(self, error: Exception) -> None:
        """What was in work fails; what came meanwhile is still to be tried."""
        self._decoder.drop_all()
        for row in [row for row in self._asked if row not in self._new]:
            _, future = self._asked.pop(row)
            self._meter.asked -= 1
            if not future.done():
                future.set_exception(error)

    def _row(self, request: Request) -> DecodingRow:
        """The request in tokens; raises ClientError where they fill the context."""
        with self._tokenizing:
            held = self._tokens(request)
        tokens = held.tokens
        if len(tokens) >= self._positions:
            raise RefusedError(
                f"{self.name}: a prompt of {len(tokens)} tokens does not fit into the model's {self._positions} "
                f"positions; it begins with {request.messages[0].content[:80]!r}. Shorten it, or use a model with more "
                "context"
            )
        sampling = request.sampling
        return DecodingRow(
            tokens=tokens,
            limit=min(sampling.max_tokens + held.taken, self._positions - len(tokens)),
            ends=self._ends if request.raw else self._turn_ends,
            over=self._holds(sampling.stop) if sampling.stop else None,
            allowed=held.allowed,
            drawn_anew=held.text,
            seed=_draw_seed(request),
            temperature=sampling.temperature,
            top_p=sampling.top_p,
        )

    def _holds(self, stops: Sequence[str]) -> Callable[[Sequence[int]], bool]:
        """Whether a text's end holds one of the stops; asked after each token, so that no more of it need be read."""
        longest = max(len(stop.encode()) for stop in stops)

        def over(new: Sequence[int]) -> bool:
            with self._tokenizing:
                tail = self._tokenizer.decode(new[-longest - _TAIL :], skip_special_tokens=True)
            return any(stop in tail for stop in stops)

        return over

    def _tokens(self, request: Request) -> Held:
        """The prompt in tokens: through the chat template, with a turn of the assistant left open if there is one."""
        if request.raw:
            bos = self._tokenizer.bos_token if getattr(self._tokenizer, "add_bos_token", False) else None
            prompt, begun = f"{bos or ''}{request.messages[0].content}", ""
        elif not self._tokenizer.chat_template:
            raise ClientError(f"{self.name}: its tokenizer has no chat template; use evaluation.protocol=base")
        else:
            turns = [message.model_dump() for message in request.messages]
            begun = turns.pop()["content"] if turns[-1]["role"] == "assistant" else ""
            prompt = str(self._tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))
        if begun and request.healed and self._tokenizer.is_fast:
            self._spelling = self._spelling or Spelling(self._tokenizer)
            return self._spelling.hold(prompt, begun)
        return Held(list(self._tokenizer(prompt + begun, add_special_tokens=False)["input_ids"]))

    def _completion(self, row: DecodingRow, stops: tuple[str, ...]) -> Completion:
        """The row's new tokens without the one that ended it, their text cut at a stop text."""
        stopped = row.tokens[-1] in row.ends
        return Completion(
            text=self._text(row, row.new[:-1] if stopped else row.new),
            finish_reason="stop" if stopped else "length",
            prompt_tokens=row.prompt_tokens,
            completion_tokens=len(row.new),
        ).cut(stops)

    def _text(self, row: DecodingRow, tokens: list[int]) -> str:
        """What tokens say behind the row's prompt, without what they only had to spell again."""
        if not row.drawn_anew:
            return str(self._tokenizer.decode(tokens, skip_special_tokens=True))
        before = row.tokens[: row.prompt_tokens][-_TAIL:]
        read = [self._tokenizer.decode(part, skip_special_tokens=True) for part in (before, [*before, *tokens])]
        return str(read[1][len(read[0]) + len(row.drawn_anew) :])


def _draw_seed(request: Request) -> int:
    messages = [message.model_dump() for message in request.messages]
    return int(fingerprint([request.sampling.seed, request.sample_index, messages])[:15], 16)


def _load(source: str, device: str, dtype: str) -> tuple[Any, Any]:
    logging.disable_progress_bar()  # commands show their own progress
    with loading(source):
        tokenizer = AutoTokenizer.from_pretrained(source)
        loaded = AutoModelForCausalLM.from_pretrained(source, dtype=dtype)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    if device == "cpu" and loaded.num_parameters() < _SMALL:
        torch.set_num_threads(1)
    return tokenizer, loaded.to(device).eval()
