"""Rows of tokens → their continuations, many at a time: rows leave when they end, and waiting ones take their place.

Each step runs one packed row of the model (`slab.py`): a token of each row that goes on, and prompts of rows that
begin, in parts where they are long. A prompt's beginning that another row has computed, running or ended, is copied
instead of computed: samples of one task, and a conversation that goes on. Bounded by tokens: rows times the longest.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from iterpref.clients.local.draw import Draw, next_tokens
from iterpref.clients.local.slab import Kept, Piece, Slab, Step, rounded

PROMPT_TOKENS = 512  # of rows that begin, in one step
_WORTH_COPYING = 16  # tokens


@dataclass(eq=False)
class DecodingRow:
    """One text in the making. `tokens` begins with the prompt; it ends with one of `ends`, at `limit` new tokens, or
    when `over` says so of its new tokens."""

    tokens: list[int]
    limit: int
    ends: frozenset[int]
    over: Callable[[Sequence[int]], bool] | None = None
    seed: int = 0
    temperature: float = 0.0
    top_p: float = 1.0
    prompt_tokens: int = field(init=False)
    computed: int = field(default=0, init=False)
    """Tokens whose states are in the slab."""
    slot: int = field(default=-1, init=False)
    ended: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.prompt_tokens = len(self.tokens)

    @property
    def new(self) -> list[int]:
        return self.tokens[self.prompt_tokens :]

    def grow(self, token: int) -> None:
        self.tokens.append(token)
        full = len(self.tokens) - self.prompt_tokens >= self.limit
        self.ended = full or token in self.ends or (self.over is not None and self.over(self.new))

    @property
    def draw(self) -> Draw:
        return Draw(self.seed, self.temperature, self.top_p, len(self.tokens))


class Engine:
    """Decode rows with a causal model whose attention can be exchanged; `step` until nothing is left.

    Args:
        model: A transformers model in evaluation mode whose config went through `exchange_attention`.
        rows, tokens: At most so many rows at once, and rows times the longest of them.
    """

    def __init__(self, model: Any, rows: int, tokens: int) -> None:
        self._model = model
        self._most_rows, self._most_tokens = rows, tokens
        self._slab = Slab(tokens)
        self._waiting: list[DecodingRow] = []
        self._running: list[DecodingRow] = []
        self._ended = Memory(tokens)
        self.made = 0
        """Tokens drawn so far, of all rows."""

    @property
    def busy(self) -> bool:
        return bool(self._waiting or self._running)

    @property
    def counts(self) -> tuple[int, int]:
        """Rows that run and rows that wait."""
        return len(self._running), len(self._waiting)

    def add(self, row: DecodingRow) -> None:
        self._waiting.append(row)

    def drop_all(self) -> None:
        """Forget all rows, after an error."""
        self._waiting, self._running = [], []

    @torch.inference_mode()
    def step(self) -> list[DecodingRow]:
        """One token more for each row that is through its prompt; returns the rows that have ended."""
        self._make_room()
        self._admit()
        pieces, ids, places, lasts, grown = self._plan()
        device = self._model.device
        output = self._model(
            input_ids=torch.tensor([ids], device=device),
            position_ids=torch.tensor([places], device=device),
            attention_mask=None,
            use_cache=False,
            logits_to_keep=torch.tensor(lasts, dtype=torch.long, device=device),
            step=Step(self._slab, pieces, device),
        )
        if grown:
            tokens = next_tokens(output.logits[0], [row.draw for row in grown])
            for row, token in zip(grown, tokens, strict=True):
                row.grow(token)
            self.made += len(grown)
        return self._leave()

    def _leave(self) -> list[DecodingRow]:
        """Take out the rows that have ended; what they computed is remembered."""
        ended = [row for row in self._running if row.ended]
        for row in ended:
            self._ended.keep(row.tokens[: row.computed], self._slab.take_out(row.slot, row.computed))
        if ended:
            self._close_gaps([row for row in self._running if not row.ended])
        return ended

    def _plan(self) -> tuple[list[Piece], list[int], list[int], list[int], list[DecodingRow]]:
        """The step's pieces, its tokens, their places in their rows, places with a prediction, and those rows."""
        pieces: list[Piece] = []
        ids: list[int] = []
        places: list[int] = []
        lasts: list[int] = []
        grown: list[DecodingRow] = []
        room = PROMPT_TOKENS
        for row in self._running:
            pending = len(row.tokens) - row.computed
            count = pending if pending == 1 else min(pending, room)
            if count == 0:
                continue
            room -= count if pending > 1 else 0
            pieces.append(Piece(row.slot, row.computed, len(ids), len(ids) + count))
            ids += row.tokens[row.computed : row.computed + count]
            places += range(row.computed, row.computed + count)
            row.computed += count
            if count == pending:
                lasts.append(len(ids) - 1)
                grown.append(row)
        return pieces, ids, places, lasts, grown

    def _admit(self) -> None:
        """Let waiting rows begin, in order, but those that would compute what a row in work is about to have."""
        room = PROMPT_TOKENS - sum(p for row in self._running if (p := len(row.tokens) - row.computed) > 1)
        later: list[DecodingRow] = []
        while self._waiting and room > 0 and self._fits(self._waiting[0]):
            row = self._waiting.pop(0)
            running = max(self._running, key=lambda other: _common(row.tokens, other.tokens), default=None)
            promised = _common(row.tokens, running.tokens) if running else 0
            shared = min(promised, running.computed) if running else 0
            if promised - shared >= _WORTH_COPYING and running and len(running.tokens) - running.computed > 1:
                later.append(row)
                continue
            self._begin(row, running, shared)
            room -= len(row.tokens) - row.computed
        self._waiting[:0] = later

    def _begin(self, row: DecodingRow, running: DecodingRow | None, shared: int) -> None:
        kept, remembered = self._ended.best(row.tokens)
        row.slot = len(self._running)
        self._slab.reserve(len(self._running) + 1, len(row.tokens) + 1)
        least = min(len(row.tokens) - 1, max(shared, remembered))  # the last token's own prediction is needed
        if least >= _WORTH_COPYING:
            if shared >= remembered and running:
                self._slab.move(running.slot, row.slot, least)
            else:
                self._slab.put_in(row.slot, kept, least)
            row.computed = least
        self._running.append(row)

    def _fits(self, row: DecodingRow) -> bool:
        rows = len(self._running) + 1
        longest = max(len(other.tokens) for other in [row, *self._running]) + 1
        return rows == 1 or (rows <= self._most_rows and rows * rounded(longest) <= self._most_tokens)

    def _make_room(self) -> None:
        """Rows have grown: where they don't fit any more, the last one waits, and goes on later from what is kept."""
        while self._running:
            longest = rounded(max(len(row.tokens) for row in self._running) + 1)
            if len(self._running) == 1 or len(self._running) * longest <= self._most_tokens:
                self._slab.reserve(len(self._running), longest)
                break
            row = self._running.pop()
            self._ended.keep(row.tokens[: row.computed], self._slab.take_out(row.slot, row.computed))
            row.computed, row.slot = 0, -1
            self._waiting.insert(0, row)

    def _close_gaps(self, stay: Sequence[DecodingRow]) -> None:
        """Rows 0, 1, 2, ... again, those within their prompt last; as few moves as there are gaps."""
        decoding = [row for row in stay if len(row.tokens) - row.computed == 1]
        begun = [row for row in stay if len(row.tokens) - row.computed > 1]
        self._running = []
        for slot in range(len(decoding)):
            at_home = next((row for row in decoding if row.slot == slot), None)
            row = at_home or max(decoding, key=lambda other: other.slot)
            decoding.remove(row)
            self._place(row, slot)
        for row in sorted(begun, key=lambda other: other.slot):
            self._place(row, len(self._running))

    def _place(self, row: DecodingRow, slot: int) -> None:
        if row.slot != slot:
            self._slab.move(row.slot, slot, row.computed)
            row.slot = slot
        self._running.append(row)


class Memory:
    """States of rows that have left, by their tokens; the oldest go first where there are more than `most` tokens."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[tuple[int, ...], Kept] = OrderedDict()

    def keep(self, tokens: Sequence[int], states: Kept) -> None:
        self._kept[tuple(tokens)] = states
        while sum(map(len, self._kept)) > self._most:
            self._kept.popitem(last=False)

    def best(self, tokens: Sequence[int]) -> tuple[Kept, int]:
        """The states that share the longest beginning with `tokens`, and its length."""
        found = max(self._kept, key=lambda other: _common(tokens, other), default=None)
        if found is None:
            return [], 0
        self._kept.move_to_end(found)
        return self._kept[found], _common(tokens, found)


def _common(first: Sequence[int], second: Sequence[int]) -> int:
    """Length of the common beginning."""
    return next(
        (i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(len(first), len(second))
    )
