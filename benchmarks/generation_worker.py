"""One way of answering, in a process of its own: so that each begins cold, and versions don't meet.

    python generation_worker.py WAY MODEL BATCH IN.json OUT.json

Ways: `client`, the local client of whatever `iterpref` is on the path; `generate`, transformers' own in batches of
BATCH in the order given; `continuous`, transformers' continuous batching; `texts`, the client's engine with the lead of
each drawn token. IN is a list of conversations: `messages`, `sample_index`, and `tokens`, the length that an answer is
forced to, so that all ways make the same work (not for `texts`). OUT gets `seconds` (prompts included, loading not) and
the tokens of both; for texts `rows`.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from transformers import LogitsProcessor, LogitsProcessorList

from iterpref.clients.base import Request, Sampling
from iterpref.records import Message

TEMPERATURE, MOST = 0.8, 512
Answered = dict[str, Any]


def requests_of(conversations: list[Answered]) -> list[Request]:
    sampling = Sampling(temperature=TEMPERATURE, max_tokens=MOST)
    return [
        Request(messages=[Message(**m) for m in c["messages"]], sampling=sampling, sample_index=c["sample_index"])
        for c in conversations
    ]


class Lengths(LogitsProcessor):  # type: ignore[misc]
    """Lets each row of a batch end exactly at its recorded length."""

    def __init__(self, lengths: list[int], ends: list[int]) -> None:
        self._lengths, self._ends = torch.tensor(lengths), torch.tensor(ends)
        self._width: int | None = None

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        self._width = input_ids.shape[1] if self._width is None else self._width
        last = input_ids.shape[1] - self._width + 1 >= self._lengths
        scores[:, self._ends] = float("-inf")
        scores[last] = float("-inf")
        scores[last.nonzero()[:, 0], self._ends[0]] = 0.0
        return scores


def client_way(model: str, batch: int, conversations: list[Answered]) -> Answered:
    """The local client; how lengths are forced depends on the version, what is timed does not."""
    requests = requests_of(conversations)
    lengths = {request: c["tokens"] for request, c in zip(requests, conversations, strict=True)}
    try:
        from iterpref.clients.local import client as module
    except ImportError:  # one module, up to 295ad7f
        from iterpref.clients import local as module
    client = module.LocalClient(model, batch)
    if hasattr(client, "_row"):
        plain_row = client._row

        def row(request: Request) -> Any:
            made = plain_row(request)
            made.ends, made.limit = frozenset(), lengths[request]
            return made

        client._row = row
    else:
        draw = module._GumbelDraw

        class Forced(draw):  # type: ignore[misc, valid-type]
            def __init__(self, asked: list[Request], device: str) -> None:
                super().__init__(asked, device)
                self._forced = Lengths([lengths[r] for r in asked], sorted(client._eos_ids))

            def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
                return self._forced(input_ids, super().__call__(input_ids, scores))

        module._GumbelDraw = Forced

    async def ask() -> Any:
        return await asyncio.gather(*map(client.complete, requests))

    began = time.perf_counter()
    answers = asyncio.run(ask())
    seconds = time.perf_counter() - began
    assert [a.completion_tokens for a in answers] == [c["tokens"] for c in conversations]
    return counted(seconds, sum(a.completion_tokens for a in answers), sum(a.prompt_tokens for a in answers))


@torch.inference_mode()
def generate_way(model: str, batch: int, conversations: list[Answered]) -> Answered:
    """As a script would: left padding, a batch after the other, transformers' sampling."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model, padding_side="left")
    network = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
    eos = network.generation_config.eos_token_id
    ends = eos if isinstance(eos, list) else [eos]
    prompts = 0
    began = time.perf_counter()
    for start in range(0, len(conversations), batch):
        part = conversations[start : start + batch]
        texts = [tokenizer.apply_chat_template(c["messages"], tokenize=False, add_generation_prompt=True) for c in part]
        encoded = tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False)
        lengths = Lengths([c["tokens"] for c in part], ends)
        network.generate(
            **encoded, do_sample=True, temperature=TEMPERATURE, top_p=1.0, top_k=0, max_new_tokens=MOST,
            logits_processor=LogitsProcessorList([lengths]), pad_token_id=ends[0],
        )  # fmt: skip
        prompts += int(encoded["attention_mask"].sum())
    return counted(time.perf_counter() - began, sum(c["tokens"] for c in conversations), prompts)


@torch.inference_mode()
def continuous_way(model: str, batch: int, conversations: list[Answered]) -> Answered:
    """transformers' continuous batching with its paged cache; the lengths are bounds of each request."""
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig
    from transformers.generation.configuration_utils import ContinuousBatchingConfig

    tokenizer = AutoTokenizer.from_pretrained(model)
    network = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
    drawn = GenerationConfig(
        do_sample=True, temperature=TEMPERATURE, top_p=1.0, top_k=0, eos_token_id=-1, pad_token_id=0
    )
    bounds = ContinuousBatchingConfig(max_batch_tokens=batch + 512, num_blocks=1 << 10, page_size=32)
    manager = network.init_continuous_batching(generation_config=drawn, continuous_batching_config=bounds)
    manager.start()
    prompts = 0
    began = time.perf_counter()
    for number, c in enumerate(conversations):
        text = tokenizer.apply_chat_template(c["messages"], tokenize=False, add_generation_prompt=True)
        tokens = tokenizer(text, add_special_tokens=False)["input_ids"]
        prompts += len(tokens)
        manager.add_request(tokens, request_id=str(number), max_new_tokens=c["tokens"], eos_token_id=-1)
    made = 0
    for _ in conversations:
        result = manager.get_result()
        assert result is not None and result.error is None, result
        made += len(result.generated_tokens)
    seconds = time.perf_counter() - began
    manager.stop(block=True)
    assert made == sum(c["tokens"] for c in conversations)
    return counted(seconds, made, prompts)


def texts_way(model: str, batch: int, conversations: list[Answered]) -> Answered:
    """The engine's tokens at their own lengths, each with the lead of the drawn one over the next best."""
    from iterpref.clients.local import draw, engine
    from iterpref.clients.local.client import LocalClient

    leads: dict[tuple[int, int], float] = {}

    def watched(logits: torch.Tensor, draws: Any) -> list[int]:
        chosen = draw.next_tokens(logits, draws)
        for row, one in zip(logits.float(), draws, strict=True):
            noisy = row / one.temperature + draw._noise(
                [one], torch.zeros(len(row), dtype=torch.long), torch.arange(len(row))
            )
            best, second = noisy.topk(2).values.tolist()
            leads[one.seed, one.place] = best - second  # of a guess that was wrong: the draw in its place comes later
        return chosen

    engine.next_tokens = watched  # type: ignore[assignment]
    client = LocalClient(model, batch)
    leads.clear()  # the client's own trial
    rows = [client._row(request) for request in requests_of(conversations)]
    for row in rows:
        client._decoder.add(row)
    began = time.perf_counter()
    while client._decoder.busy:
        client._decoder.step()
    found = [
        {"tokens": row.new, "leads": [leads[row.seed, place] for place in range(row.prompt_tokens, len(row.tokens))]}
        for row in rows
    ]
    return {"rows": found, "seconds": time.perf_counter() - began}


def counted(seconds: float, answer_tokens: int, prompt_tokens: int) -> Answered:
    return {"seconds": seconds, "answer_tokens": answer_tokens, "prompt_tokens": prompt_tokens}


if __name__ == "__main__":
    way, model, batch, given, out = sys.argv[1:]
    ways = {"client": client_way, "generate": generate_way, "continuous": continuous_way, "texts": texts_way}
    conversations = json.loads(Path(given).read_text(encoding="utf-8"))
    Path(out).write_text(json.dumps(ways[way](model, int(batch), conversations)), encoding="utf-8")
