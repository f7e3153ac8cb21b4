"""Which way of decoding a model allows: the engine if that gives what the plain model gives, else `generate`."""

import logging
from typing import Any

import torch

from iterpref.clients.local.engine import Engine
from iterpref.clients.local.row import DecodingRow
from iterpref.clients.local.slab import exchange_attention
from iterpref.clients.local.waves import Waves

logger = logging.getLogger(__name__)

_ROWS = ((5, 7, 11, 5, 13), (5, 7, 11, 6), (8,))
_NEW = 4


def decoder(model: Any, rows: int, tokens: int) -> Engine | Waves:
    """The best decoder whose greedy texts are those of the model itself, tried on three short rows."""
    before = model.config._attn_implementation
    if getattr(model, "_supports_attention_backend", False) and not getattr(model, "_is_stateful", False):
        expected = [_plain(model, row) for row in _ROWS]
        try:
            exchange_attention(model.config)
            if _engine(model) == expected:
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
def _plain(model: Any, row: tuple[int, ...]) -> list[int]:
    tokens = list(row)
    for _ in range(_NEW):
        logits = model(input_ids=torch.tensor([tokens], device=model.device), use_cache=False).logits
        tokens.append(int(logits[0, -1].argmax()))
    return tokens


def _engine(model: Any) -> list[list[int]]:
    engine = Engine(model, len(_ROWS), 1 << 12)
    rows = [DecodingRow(list(row), _NEW, frozenset()) for row in _ROWS]
    for row in rows:
        engine.add(row)
    while engine.busy:
        engine.step()
    return [row.tokens for row in rows]
