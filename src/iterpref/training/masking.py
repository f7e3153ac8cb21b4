"""Which tokens of a completion lie in D⁻? I(y_i ∈ D⁻) of the focal loss (arXiv:2503.02783, section on Target-DPO).

One encode of the whole text gives the tokens' character ranges; deriving a line's tokens by encoding prefixes is wrong
wherever a token crosses a line end or a special token is prepended. Not here: what text is encoded (encoding.py).
"""

from collections.abc import Iterable, Sequence

from iterpref.errors import SpanError
from iterpref.programs import code_blocks
from iterpref.records import Span

Offset = tuple[int, int]
_SPACES = "Ġ \t\r\n"  # byte-level BPE spells a space as Ġ; added tokens stand in the vocabulary as they are


def contiguous(offsets: Iterable[Sequence[int]], tokens: Sequence[str]) -> list[Offset]:
    """Token ranges without gaps: each token gets back the spaces that the tokenizer trimmed off its range.

    Byte-level BPE with `trim_offsets` (Llama 3, GPT-2, RoBERTa) reports a token without the spaces at its two ends: a
    newline with the indentation behind it as the newline alone, and an indentation as an empty range at its end. So the
    spaces that no token claims belong to the token before them, as many as its text ends with, and the rest to the
    token after. Tokens that stand for no character of the text, such as a BOS that the tokenizer prepends, stay empty.

    Args:
        offsets: (L,) character range [start, stop) of each token, as the tokenizer reports it.
        tokens: (L,) the tokens as the vocabulary spells them.
    """
    closed: list[Offset] = []
    end, last, trimmed = 0, -1, 0  # the text claimed so far, the token that claims its end, the spaces it may have lost
    for at, ((start, stop), token) in enumerate(zip(offsets, tokens, strict=True)):
        if start > end and trimmed:
            end += min(trimmed, start - end)
            closed[last] = (closed[last][0], end)
        closed.append((min(start, end), stop) if stop > end else (start, stop))
        if stop > end or start < stop == end:  # the latter: a further token of one character's bytes
            end, last = stop, at
            trimmed = len(token) - len(token.rstrip(_SPACES)) if start < stop else 0  # an empty range ends at its end
    return closed


def focal_mask(offsets: Sequence[Offset], spans: Sequence[Span], fences: Sequence[Span] = ()) -> list[int]:
    """Mark with 1 the tokens that overlap a focal span and touch no fence; none for a fix that only inserts lines.

    Args:
        offsets: (L,) character range [start, stop) of each token; an empty range for a token without text.
        spans: Ranges of D⁻ in the same text, sorted, disjoint.
        fences: Ranges of the code fences in the same text, sorted, disjoint. A token such as "\\n```" that holds the
            end of a wrong line and the fence after it is not focal: closing the block was no mistake.

    Raises:
        SpanError: A span ends after the last token, so the text was cut or rendered anew.
    """
    end = max((stop for _, stop in offsets), default=0)
    if spans and spans[-1].stop > end:
        raise SpanError(
            f"focal span {spans[-1].start}-{spans[-1].stop} ends after the last token ({end}); the spans belong to "
            "another text than the one that was encoded: make the pairs again"
        )
    in_span, in_fence = _overlaps(offsets, spans), _overlaps(offsets, fences)
    return [int(focal and not fence) for focal, fence in zip(in_span, in_fence, strict=True)]


def _overlaps(offsets: Sequence[Offset], ranges: Sequence[Span]) -> list[bool]:
    """Whether each token shares a character with a range; one pass, both sides sorted by start."""
    found, at = [], 0
    for start, stop in offsets:
        while at < len(ranges) and ranges[at].stop <= start:
            at += 1
        found.append(start < stop and at < len(ranges) and ranges[at].start < stop)
    return found


def fence_spans(completion: str) -> list[Span]:
    """The marker lines around each Python block of a completion, their newlines left out; see programs.code_blocks."""
    spans = []
    for start, stop in code_blocks(completion):
        opening = completion.rfind("\n", 0, max(start - 1, 0)) + 1
        closing_end = completion.find("\n", stop)
        spans.append(Span(start=opening, stop=max(start - 1, opening)))
        spans.append(Span(start=stop, stop=len(completion) if closing_end < 0 else closing_end))
    return [span for span in spans if span.start < span.stop]


def check_spans(spans: Sequence[Span], text: str, where: str) -> None:
    """Refuse with a SpanError that names `where` spans that are empty, unsorted, overlapping or outside their text."""
    previous = 0
    for span in spans:
        if not previous <= span.start < span.stop <= len(text):
            raise SpanError(
                f"{where}: span {span.start}-{span.stop} is empty, out of order, or outside the text of "
                f"{len(text)} characters (the span before it ends at {previous}); make the pairs again"
            )
        previous = span.stop


def shift_spans(spans: Sequence[Span], by: int, lowest: int, highest: int) -> list[Span]:
    """Spans moved by `by` characters and cut to [lowest, highest); what falls outside is left out."""
    moved = ((max(s.start + by, lowest), min(s.stop + by, highest)) for s in spans)
    return [Span(start=start, stop=stop) for start, stop in moved if start < stop]
