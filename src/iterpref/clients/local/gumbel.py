"""Logits and a request's seed → its next token, by the Gumbel-max trick, whatever else is in the batch."""

from collections.abc import Sequence

import torch
from transformers import LogitsProcessor

from iterpref.clients.base import Request
from iterpref.records import fingerprint


class GumbelDraw(LogitsProcessor):  # type: ignore[misc]  # transformers is not typed
    """Turn greedy decoding into sampling, each row with its own generator: argmax(logits / T + Gumbel noise)."""

    def __init__(self, requests: Sequence[Request], device: str) -> None:
        self._temperature = requests[0].sampling.temperature
        self._top_p = requests[0].sampling.top_p
        self._generators = [torch.Generator().manual_seed(_draw_seed(request)) for request in requests]
        self._device = device

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """`scores`: (batch, vocabulary) logits → perturbed logits of the same shape."""
        logits = scores.float() / self._temperature
        if self._top_p < 1:
            logits = nucleus(logits, self._top_p)
        uniform = torch.stack([torch.rand(scores.shape[1], generator=g) for g in self._generators])
        noise = -torch.log(-torch.log(uniform.clamp(1e-20, 1 - 1e-7)))
        return logits + noise.to(self._device)


def nucleus(logits: torch.Tensor, top_p: float) -> torch.Tensor:
    """Remove tokens outside the smallest set whose probability reaches `top_p`; shape (batch, vocabulary)."""
    ordered, order = logits.sort(dim=-1, descending=True)
    probabilities = ordered.softmax(dim=-1)
    outside = probabilities.cumsum(dim=-1) - probabilities >= top_p
    return logits.masked_fill(outside.scatter(-1, order, outside), float("-inf"))


def _draw_seed(request: Request) -> int:
    messages = [message.model_dump() for message in request.messages]
    return int(fingerprint([request.sampling.seed, request.sample_index, messages])[:15], 16)
