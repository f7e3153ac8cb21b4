"""The paper's ablations, as masks: which pairs are trained plainly, and D⁻ with lines around it.

Both are drawn once per pair, from its id and the seed: masks are data, so references computed beforehand fit them and a
run can be repeated. Pure. Not here: `symmetric`, which needs no drawing (dataset.py).
"""

import hashlib
import random
from collections.abc import Sequence

from iterpref.programs import code_blocks
from iterpref.records import Span

# "D⁻ widened by 1-2 lines on both sides, at random" (arXiv:2503.02783, ablation of the diff).
_WIDEN_BY = (1, 2)


def is_plain(pair_id: str) -> bool:
    """Whether `hybrid` trains this pair with all of its rejected side; about half of all ids."""
    return hashlib.sha256(pair_id.encode()).digest()[0] % 2 == 0


def widened(text: str, spans: Sequence[Span], key: str) -> list[Span]:
    """Each run of wrong lines with 1 or 2 more lines of code before and after it, their number drawn by `key`.

    Args:
        text: The completion; only lines in its code blocks are added, or any line if it has none.
        spans: Ranges of whole lines, as the pairing stage makes them.
    """
    draw = random.Random(hashlib.sha256(key.encode()).digest())
    lines = _code_lines(text)
    wrong = [any(s.start < line.stop and line.start < s.stop for s in spans) for line in lines]
    marked = list(wrong)
    for at, is_wrong in enumerate(wrong):
        if is_wrong and not (at and wrong[at - 1]):
            for before in range(max(at - draw.choice(_WIDEN_BY), 0), at):
                marked[before] = True
        if is_wrong and not (at + 1 < len(wrong) and wrong[at + 1]):
            for after in range(at + 1, min(at + 1 + draw.choice(_WIDEN_BY), len(marked))):
                marked[after] = True
    return [line for line, keep in zip(lines, marked, strict=True) if keep]


def _code_lines(text: str) -> list[Span]:
    """The lines of code with their newlines; lines end at a newline only."""
    lines = []
    for block_start, block_stop in code_blocks(text) or [(0, len(text))]:
        start = block_start
        while start < block_stop:
            newline = text.find("\n", start, block_stop)
            stop = block_stop if newline < 0 else newline + 1
            lines.append(Span(start=start, stop=stop))
            start = stop
    return lines
