"""Which lines of a failing program did the fix replace? Those off the longest common subsequence (LCS) of the lines.

Algorithm 1 of "Focal Preference Alignment" (arXiv:2503.02783). Pure, no model, no tokenizer. Renames and moved blocks
are ordinary edits; `filters.py` drops cosmetic ones. Lines split at "\\n" only, as tokenizers see them. Only lines
inside Python code blocks count: prose and fences are never wrong lines. A text without a block is all code.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import NamedTuple

from rapidfuzz.distance import LCSseq

from iterpref.programs import code_lines
from iterpref.records import Span

DIFF_VERSION = 1
_WORD = re.compile(r"\w+|[^\S\n]+|\n|.")


class ChangedSpans(NamedTuple):
    """D⁻ in `rejected` and D⁺ in `chosen` (arXiv:2503.02783, Algorithm 1).

    One half-open range of characters per changed line, its newline included, in the order of the text.
    """

    rejected: tuple[Span, ...]
    chosen: tuple[Span, ...]


def changed_spans(rejected: str, chosen: str, diff: str = "lcs") -> ChangedSpans:
    """The lines in which two completions differ: Algorithm 1 of arXiv:2503.02783.

    Args:
        rejected: The failing completion, exactly as it will be trained on. Only lines inside its Python code blocks
            count; a text without a block is all code.
        chosen: The passing one.
        diff: `lcs`, lines off the longest common subsequence, or `prefix_suffix`, all between the common beginning and
            the common end.

    Returns:
        D⁻, R spans, and D⁺, C spans; no D⁻ for a fix that only inserts lines. Equal texts always give equal spans.

    Raises:
        KeyError: No such diff.
    """
    before, after = code_lines(rejected), code_lines(chosen)
    changed = DIFFS[diff]([line.text for line in before], [line.text for line in after])
    return ChangedSpans(
        rejected=tuple(Span(start=before[i].start, stop=before[i].stop) for i in changed.removed),
        chosen=tuple(Span(start=after[i].start, stop=after[i].stop) for i in changed.added),
    )


def anchors(rejected: str, chosen: str) -> tuple[Span, ...]:
    """Of a fix that only inserts lines: per run of them, the place in `rejected` that skipped them.

    It is the first character that differs from what should have followed there, which may be the closing fence; or the
    indentation before it, where that should have been deeper. A run has none where the rejected text ends before.
    """
    before, after = code_lines(rejected), code_lines(chosen)
    added = {span.start for span in changed_spans(rejected, chosen).chosen}
    found, common, begins = set(), 0, True
    for line in after:
        if line.start not in added:
            common, begins = common + 1, True
        elif begins:
            begins = False
            at = before[common].start if common < len(before) else before[-1].stop if before else len(rejected)
            found.add(_parting(rejected, at, chosen, line.start))
    return tuple(Span(start=start, stop=stop) for start, stop in sorted(found) if start < stop <= len(rejected))


def _parting(rejected: str, at: int, chosen: str, from_: int) -> tuple[int, int]:
    """Where `rejected` parts from `chosen`, both read from a place on."""
    rest = zip(rejected[at:], chosen[from_:], strict=False)
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], rest))
    spaces = same - len(rejected[at : at + same].rstrip(" \t"))
    if spaces and chosen[from_ + same : from_ + same + 1] in (" ", "\t"):
        return at + same - spaces, at + same
    return at + same, at + same + 1


class ChangedLines(NamedTuple):
    """D⁻ and D⁺ as line indices: `removed` from the first text, `added` to the second."""

    removed: tuple[int, ...]
    added: tuple[int, ...]


def changed_lines(before: Sequence[str], after: Sequence[str]) -> ChangedLines:
    """Line diff by LCS; `difflib` would not do, its matches are often shorter than the LCS.

    Of several places where the common lines can be found, the earliest in each text counts, so that equal texts always
    give equal diffs.
    """
    common = [
        before[line]
        for block in LCSseq.opcodes(before, after)
        if block.tag == "equal"
        for line in range(block.src_start, block.src_end)
    ]
    return ChangedLines(removed=_lines_off(before, common), added=_lines_off(after, common))


def middle_lines(before: Sequence[str], after: Sequence[str]) -> ChangedLines:
    """The alternative of the paper: all lines between the common beginning and the common end (avg 61.9, LCS 64.4)."""
    shortest = min(len(before), len(after))
    start = next((i for i in range(shortest) if before[i] != after[i]), shortest)
    most = shortest - start
    end = next((i for i in range(most) if before[-1 - i] != after[-1 - i]), most)
    return ChangedLines(removed=tuple(range(start, len(before) - end)), added=tuple(range(start, len(after) - end)))


# The values of `pairing.diff`.
DIFFS = {"lcs": changed_lines, "prefix_suffix": middle_lines}


def changed_words(own: str, other: str, own_spans: Sequence[Span], other_spans: Sequence[Span]) -> list[Span]:
    """The words within the changed lines `own_spans` that are not common with the lines of `other` in their place.

    A word is a name or number, a run of spaces, or one other character. Where the other text only has more words, the
    one that follows them here is changed: it stands where another was due. Spans that are not the changed lines of a
    diff, and lines without any such word, stay as they are.
    """
    runs = _word_runs(own, other, own_spans, other_spans)
    if runs is None:
        return list(own_spans)
    return [span for run in runs for span in _off(run, due=True) or run.spans]


def differing_words(own: str, other: str, own_spans: Sequence[Span], other_spans: Sequence[Span]) -> list[Span]:
    """The same for readers: only words that the other lines don't have, where as many lines stand in their place; none
    where the spans aren't such lines."""
    runs = _word_runs(own, other, own_spans, other_spans) or ()
    return [span for run in runs if len(run.spans) == run.lines for span in _off(run, due=False)]


class _WordRun(NamedTuple):
    """Changed lines that follow one another: their spans, their words, and of the `lines` in their place the words."""

    spans: list[Span]
    lines: int
    words: list[Span]
    texts: list[str]
    others: list[str]


def _word_runs(
    own: str, other: str, own_spans: Sequence[Span], other_spans: Sequence[Span]
) -> Iterator[_WordRun] | None:
    here, there = _runs(own, own_spans), _runs(other, other_spans)
    if here is None or there is None or here.common != there.common:
        return None

    def run(place: int, spans: list[Span]) -> _WordRun:
        replaced = there.changed.get(place, [])
        words = [word for span in spans for word in _words(own, span)]
        others = [word for span in replaced for word in _words(other, span)]
        texts = [own[word.start : word.stop] for word in words]
        return _WordRun(spans, len(replaced), words, texts, [other[word.start : word.stop] for word in others])

    return (run(place, spans) for place, spans in here.changed.items())


def _off(run: _WordRun, due: bool) -> list[Span]:
    return [run.words[at] for at in _words_off(run.texts, run.others, due)]


class _Runs(NamedTuple):
    """A text's common lines, and its changed ones by how many common lines come before them."""

    common: list[str]
    changed: dict[int, list[Span]]


def _runs(text: str, spans: Sequence[Span]) -> _Runs | None:
    """None where a span is not one line of code."""
    left = {span.start: span for span in spans}
    runs = _Runs([], defaultdict(list))
    for line in code_lines(text):
        span = left.pop(line.start, None)
        if span is None:
            runs.common.append(line.text)
        elif span.stop == line.stop:
            runs.changed[len(runs.common)].append(span)
        else:
            return None
    return None if left else runs


def _words(text: str, span: Span) -> Iterator[Span]:
    for match in _WORD.finditer(text, span.start, span.stop):
        yield Span(start=match.start(), stop=match.end())


def _words_off(words: Sequence[str], others: Sequence[str], due: bool) -> list[int]:
    """Indices of the words off the LCS; with `due` also of those before which the others have words that nothing here
    replaces."""
    off: set[int] = set()
    blocks = list(LCSseq.opcodes(words, others))
    for number, block in enumerate(blocks):
        beside = {other.tag for other in blocks[max(number - 1, 0) : number + 2]}
        if block.tag in ("delete", "replace"):
            off.update(range(block.src_start, block.src_end))
        elif due and block.tag == "insert" and "delete" not in beside and block.src_start < len(words):
            off.add(block.src_start)
    return sorted(off)


def _lines_off(lines: Sequence[str], common: Sequence[str]) -> tuple[int, ...]:
    """Indices of the lines left over when `common` is found in `lines` as early as possible."""
    off = []
    found = 0
    for index, line in enumerate(lines):
        if found < len(common) and line == common[found]:
            found += 1
        else:
            off.append(index)
    return tuple(off)
