"""The end of a begun answer, tokenized as the model would have: its last tokens are drawn anew, held to the same text.

Text that is cut anywhere may not end where a token does: of `return x` and a line's end, many a tokenizer makes one
token with the indentation that follows. Tokenized by itself such an end is nothing that the model has learnt from, and
what it says next is noise. So the last few tokens are taken away, and only tokens that spell what they said may come
first; the one that gets there may go beyond it. Known as token healing (guidance; `token_healing` of transformers).
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

_DRAWN_ANEW = 6  # tokens; the playground's coder needs up to five
_LAST = chr(0x10FFFF)


class Held(NamedTuple):
    """The tokens that stay of a prompt; how many were taken away, and their text; and which may come next after some
    new ones, None once that text is spelled."""

    tokens: list[int]
    taken: int = 0
    text: str = ""
    allowed: Callable[[Sequence[int]], list[int] | None] | None = None


class Spelling:
    """The text of each token of a fast tokenizer in the middle of others, special tokens left out."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        before = tokenizer("a", add_special_tokens=False)["input_ids"][-1:]
        known = range(len(tokenizer))
        decode = tokenizer.backend_tokenizer.decode_batch  # 0.8 s for 152,000 tokens
        *read, alone = decode([*([*before, token] for token in known), before], skip_special_tokens=False)
        start = len(alone)
        special = {*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder}
        self._texts = ["" if token in special else text[start:] for token, text in zip(known, read, strict=True)]
        self._spelled: dict[str, list[int]] = {}
        for token, text in enumerate(self._texts):
            if text and text.isascii():
                self._spelled.setdefault(text, []).append(token)
        self._sorted = sorted(self._spelled)

    def hold(self, prompt: str, begun: str) -> Held:
        """Prompt and begun answer in tokens, the answer's end to be drawn anew; whole where no such end can be
        spelled, character by character if need be."""
        encoded = self._tokenizer(prompt + begun, add_special_tokens=False, return_offsets_mapping=True)
        tokens = list(encoded["input_ids"])
        starts = [start for start, _ in encoded["offset_mapping"]]
        whole = prompt + begun
        for kept in range(max(0, len(tokens) - _DRAWN_ANEW), len(tokens)):
            text = whole[starts[kept] :]
            if kept and starts[kept] >= len(prompt) and all(character in self._spelled for character in text):
                return Held(tokens[:kept], len(tokens) - kept, text, partial(self._allowed, text))
        return Held(tokens)

    def _allowed(self, text: str, new: Sequence[int]) -> list[int] | None:
        done = 0
        for token in new:
            done += len(self._texts[token])
            if done >= len(text):
                return None
        rest = text[done:]
        if not rest:
            return None
        first = bisect_left(self._sorted, rest)
        longer = self._sorted[first : bisect_left(self._sorted, rest + _LAST)]
        shorter = (rest[:length] for length in range(1, len(rest)))
        return [token for part in (*longer, *shorter) for token in self._spelled.get(part, ())]
