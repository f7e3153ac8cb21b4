"""Decoding for models whose attention can't be exchanged: transformers' `generate`, one padded batch after the other.

The draws are those of the engine. A batch ends with its longest row, and shares nothing.
"""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import LogitsProcessor, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList

from iterpref.clients.local.draw import next_tokens
from iterpref.clients.local.row import DecodingRow


class Waves:
    """As `Engine`; each step is a whole batch of rows that agree in what ends them."""

    def __init__(self, model: Any, rows: int, tokens: int) -> None:
        self._model = model
        self._most_rows, self._most_tokens = rows, tokens
        self._waiting: list[DecodingRow] = []
        self._batch: list[DecodingRow] = []
        self.made = 0

    @property
    def busy(self) -> bool:
        return bool(self._waiting)

    @property
    def counts(self) -> tuple[int, int]:
        return len(self._batch), len(self._waiting)

    def add(self, row: DecodingRow) -> None:
        self._waiting.append(row)

    def drop_all(self) -> None:
        self._waiting, self._batch = [], []

    @torch.inference_mode()
    def step(self) -> list[DecodingRow]:
        batch = self._batch = self._next_batch()
        width = max(len(row.tokens) for row in batch)
        device = self._model.device
        pad = min(batch[0].ends, default=0)
        ids = [[pad] * (width - len(row.tokens)) + row.tokens for row in batch]
        mask = [[0] * (width - len(row.tokens)) + [1] * len(row.tokens) for row in batch]
        output = self._model.generate(
            input_ids=torch.tensor(ids, device=device),
            attention_mask=torch.tensor(mask, device=device),
            max_new_tokens=batch[0].limit,
            do_sample=False,
            temperature=None,
            top_p=None,
            top_k=None,
            repetition_penalty=1.0,  # requests alone say how to sample; many a generation_config.json has penalties
            no_repeat_ngram_size=0,
            logits_processor=LogitsProcessorList([_Draws(batch, width)]),
            stopping_criteria=StoppingCriteriaList([_Over(batch, width)]),
            eos_token_id=sorted(batch[0].ends) or None,
            pad_token_id=pad,
        )
        for row, tokens in zip(batch, output[:, width:].tolist(), strict=True):
            for token in tokens:
                if not row.ended:
                    row.grow(token)
                    self.made += 1
        self._batch = []
        return batch

    def _next_batch(self) -> list[DecodingRow]:
        """The first waiting row and others with its ends and limit, of like length to keep padding small."""
        first = self._waiting[0]
        alike = [row for row in self._waiting if (row.ends, row.limit) == (first.ends, first.limit)]
        alike.sort(key=lambda row: abs(len(row.tokens) - len(first.tokens)))
        fitting = max(1, self._most_tokens // (max(len(row.tokens) for row in alike) + first.limit))
        batch = alike[: min(self._most_rows, fitting)]
        chosen = {id(row) for row in batch}
        self._waiting = [row for row in self._waiting if id(row) not in chosen]
        return batch


class _Draws(LogitsProcessor):  # type: ignore[misc]  # transformers is not typed
    """Make greedy decoding draw: only the token that `next_tokens` chose is left."""

    def __init__(self, rows: Sequence[DecodingRow], width: int) -> None:
        self._rows, self._width = rows, width

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """`scores`: (rows, vocabulary) logits → the same shape."""
        new = input_ids[:, self._width :].tolist()
        draws = [row.draw(len(between), between) for row, between in zip(self._rows, new, strict=True)]
        chosen = torch.tensor(next_tokens(scores, draws), device=scores.device)
        return torch.full_like(scores, float("-inf")).scatter(1, chosen[:, None], 0.0)


class _Over(StoppingCriteria):  # type: ignore[misc]  # transformers is not typed
    """Which rows have come to their end by what `DecodingRow.over` says."""

    def __init__(self, rows: Sequence[DecodingRow], width: int) -> None:
        self._rows, self._width = rows, width

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **_: Any) -> torch.Tensor:
        new = input_ids[:, self._width :].tolist()
        over = [row.over is not None and row.over(tokens) for row, tokens in zip(self._rows, new, strict=True)]
        return torch.tensor(over, device=input_ids.device)
