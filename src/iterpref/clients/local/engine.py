"""Rows of tokens → their continuations, many at a time: rows leave when they end, and waiting ones take their place.

Each step runs one packed row of the model (`slab.py`): a token of each row that goes on, and prompts of rows that
begin, in parts where they are long. A prompt's beginning that another row has computed, running or ended, is copied
instead of computed: samples of one task, and a conversation that goes on. Bounded by tokens: rows times the longest.
Guesses of a row's next tokens (`row.py`) make the step longer where enough of them prove right to pay for it.
"""

from collections import OrderedDict
from collections.abc import Sequence
from itertools import islice
from typing import Any, NamedTuple

import torch

from iterpref.clients.local.draw import next_tokens
from iterpref.clients.local.row import DecodingRow
from iterpref.clients.local.slab import SHORT, Kept, Piece, Slab, Step, rounded

PROMPT_TOKENS = 512  # of rows that begin, in one step
_WORTH_COPYING = 16  # tokens
_GUESSES = SHORT - 1  # of one row, in one step
_READING = 16
"""Tokens that take as long to compute as reading the weights, which each step does once (0.5B, two cores, float32)."""


class _Plan(NamedTuple):
    """A step's pieces, its tokens, their places in their rows, places with a prediction; and the rows that these are
    for, each with the guesses of its next tokens that are in the step."""

    pieces: list[Piece]
    ids: list[int]
    places: list[int]
    lasts: list[int]
    growing: list[tuple[DecodingRow, list[int]]]


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
        """At least one token more for each row that is through its prompt; returns the rows that have ended."""
        self._make_room()
        self._admit()
        plan = self._plan()
        device = self._model.device
        output = self._model(
            input_ids=torch.tensor([plan.ids], device=device),
            position_ids=torch.tensor([plan.places], device=device),
            attention_mask=None,
            use_cache=False,
            logits_to_keep=torch.tensor(plan.lasts, dtype=torch.long, device=device),
            step=Step(self._slab, plan.pieces, device),
        )
        if plan.growing:
            draws = [row.draw(ahead) for row, guessed in plan.growing for ahead in range(len(guessed) + 1)]
            drawn = iter(next_tokens(output.logits[0], draws))
            for row, guessed in plan.growing:
                made = row.take(list(islice(drawn, len(guessed) + 1)), guessed)
                row.computed += made - 1  # the guesses that were right; what others left in the slab is written over
                self.made += made
        return self._leave()

    def _leave(self) -> list[DecodingRow]:
        """Take out the rows that have ended; what they computed is remembered."""
        ended = [row for row in self._running if row.ended]
        for row in ended:
            self._ended.keep(row.tokens[: row.computed], self._slab.take_out(row.slot, row.computed))
        if ended:
            self._close_gaps([row for row in self._running if not row.ended])
        return ended

    def _plan(self) -> _Plan:
        plan = _Plan([], [], [], [], [])
        room, worth = PROMPT_TOKENS, self._worth_guessing()
        for row in self._running:
            pending = len(row.tokens) - row.computed
            count = pending if pending == 1 else min(pending, room)
            if count == 0:
                continue
            room -= count if pending > 1 else 0
            guessed = row.guess(min(_GUESSES, self._slab.tokens - len(row.tokens)), worth) if pending == 1 else []
            new = [*row.tokens[row.computed : row.computed + count], *guessed]
            plan.pieces.append(Piece(row.slot, row.computed, len(plan.ids), len(plan.ids) + len(new)))
            plan.ids.extend(new)
            plan.places.extend(range(row.computed, row.computed + len(new)))
            row.computed += count
            if count == pending:
                plan.lasts.extend(range(len(plan.ids) - 1 - len(guessed), len(plan.ids)))
                plan.growing.append((row, guessed))
        return plan

    def _worth_guessing(self) -> float:
        """The share of right guesses above which guessing shortens the whole.

        A token costs 1, a step of n tokens `_READING` more. So a token without guesses costs 1 + _READING / n, and one
        that was guessed as many as it took guesses to be right.
        """
        pending = [len(row.tokens) - row.computed for row in self._running]
        tokens = pending.count(1) + min(PROMPT_TOKENS, sum(count for count in pending if count > 1))
        return tokens / (tokens + _READING)

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
        self._slab.reserve(len(self._running) + 1, self._longest_with(row) + 1)
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
        longest = self._longest_with(row) + 1
        return rows == 1 or (rows <= self._most_rows and rows * rounded(longest) <= self._most_tokens)

    def _longest_with(self, row: DecodingRow) -> int:
        """Tokens of the longest of this row and those that run."""
        return max(len(other.tokens) for other in [row, *self._running])

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
