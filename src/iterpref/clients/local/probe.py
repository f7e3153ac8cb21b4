"""Which way of decoding a model allows: the engine if that gives what the plain model gives, else `generate`."""

import logging
from collections.abc import Sequence
from typing import Any

import torch

from iterpref.clients.local.engine import Engine
from iterpref.clients.local.row import DecodingRow
from iterpref.clients.local.slab import exchange_attention
from iterpref.clients.local.waves import Waves

logger = logging.getLogger(__name__)

_ROWS = ((5, 7, 11, 5, 13), (5, 7, 11, 6), (8,))
_NEW = 4
# How far below the plain model's best logit a token may lie, as a share of the largest logit: sums in another order
# round otherwise, by some units in the last place of the model's precision, or of what float32 sums up.
_UNITS, _LEAST = 4, 1e-4


def decoder(model: Any, rows: int, tokens: int) -> Engine | Waves:
    """The best decoder whose greedy tokens are the model's own up to near-ties, tried on three short rows."""
    before = model.config._attn_implementation
    if getattr(model, "_supports_attention_backend", False) and not getattr(model, "_is_stateful", False):
        try:
            exchange_attention(model.config)
            found = _engine(model)
            model.config._attn_implementation = before
            if all(_is_greedy(model, prompt, new) for prompt, new in zip(_ROWS, found, strict=True)):
                exchange_attention(model.config)
                return Engine(model, rows, tokens)
            problem = "other tokens"
        except Exception as error:  # whatever a model does with arguments that it doesn't know
            problem = f"{type(error).__name__}: {error}"
        logger.warning(
            "%s decodes batch by batch: its attention can't be exchanged (%s)", type(model).__name__, problem
        )
        model.config._attn_implementation = before
    return Waves(model, rows, tokens)


@torch.inference_mode()
def _is_greedy(model: Any, prompt: Sequence[int], new: Sequence[int]) -> bool:
    """Whether the model, read whole and without a cache, gives each of the `new` tokens its best logit, or nearly."""
    row = torch.tensor([[*prompt, *new]], device=model.device)
    logits = model(input_ids=row, use_cache=False).logits[0, len(prompt) - 1 : -1].float()
    slack = max(_UNITS * torch.finfo(model.dtype).eps, _LEAST) * logits.abs().amax(-1)
    chosen = logits[torch.arange(len(new)), torch.tensor(new)]
    return bool((chosen >= logits.amax(-1) - slack).all())


def _engine(model: Any) -> list[list[int]]:
    engine = Engine(model, len(_ROWS), 1 << 12)
    rows = [DecodingRow(list(row), _NEW, frozenset()) for row in _ROWS]
    for row in rows:
        engine.add(row)
    while engine.busy:
        engine.step()
    return [row.new for row in rows]
