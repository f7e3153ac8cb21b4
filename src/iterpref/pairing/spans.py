"""Two completions → the character ranges of the lines in which their programs differ.

In: the exact texts that will be trained on. Out: one half-open range per changed line, its newline included. Lines
split at "\\n" only, as tokenizers see them. Only lines inside Python code blocks count: prose and fences are never
wrong lines. A text without a block is all code.
"""

from typing import NamedTuple

from iterpref.pairing.diff import DIFFS, LCS
from iterpref.programs import code_lines
from iterpref.records import Span


class ChangedSpans(NamedTuple):
    """D⁻ in `rejected` and D⁺ in `chosen`."""

    rejected: tuple[Span, ...]
    chosen: tuple[Span, ...]


def changed_spans(rejected: str, chosen: str, diff: str = LCS) -> ChangedSpans:
    """The lines in which two completions differ, by one of `DIFFS`."""
    before, after = code_lines(rejected), code_lines(chosen)
    changed = DIFFS[diff]([line.text for line in before], [line.text for line in after])
    return ChangedSpans(
        rejected=tuple(Span(start=before[i].start, stop=before[i].stop) for i in changed.removed),
        chosen=tuple(Span(start=after[i].start, stop=after[i].stop) for i in changed.added),
    )
