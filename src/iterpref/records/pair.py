"""A right and a wrong completion of one prompt, and the spans in which they differ."""

from collections.abc import Iterable, Sequence

from pydantic import Field

from .base import Prompt, Record, as_messages, fingerprint
from .execution import Trust
from .trajectory import Origin


class Span(Record):
    """Characters [`start`, `stop`) of the exact string the span came with."""

    start: int = Field(ge=0)
    stop: int = Field(ge=0)


def merged(spans: Iterable[Span]) -> list[tuple[int, int]]:
    """[start, stop) of each run of spans that follow one another without a gap; empty ones are left out."""
    found: list[tuple[int, int]] = []
    for span in spans:
        if found and found[-1][1] == span.start:
            found[-1] = (found[-1][0], span.stop)
        elif span.start < span.stop:
            found.append((span.start, span.stop))
    return found


class FilterVerdict(Record):
    """One filter's word on one pair; `reason` says what was measured."""

    name: str
    kept: bool
    reason: str = ""


class PreferencePair(Record):
    """A chosen and a rejected completion, and where they differ.

    `prompt`, `chosen`, `rejected` are TRL's columns. `chosen_spans` and `rejected_spans` index the exact `chosen` and
    `rejected` strings, cover whole lines with their newline, and mark D⁺ and D⁻ (arXiv:2503.02783, Algorithm 1); with
    `empty_removed: anchor` a fix that only inserts lines has a span without a line's end per place where they are
    missing. `pair_id` is unique in a run. `task_id`, `trajectory_id`, `chosen_iteration`, `rejected_iteration` and
    `origin` say which attempts it is made of, `error_type` why the rejected one failed, `tests_hash` and `trust` by
    which tests and how far that can be believed, `render_template`, `diff` and `diff_version` how texts and spans were
    made. `filters` are the verdicts on it; it is `kept` where none drops it.
    """

    pair_id: str
    task_id: str
    prompt: Prompt
    chosen: str
    rejected: str
    chosen_spans: tuple[Span, ...]
    rejected_spans: tuple[Span, ...]
    diff: str
    diff_version: int
    render_template: str
    trajectory_id: str = ""
    chosen_iteration: int | None = None
    rejected_iteration: int | None = None
    error_type: str = ""
    tests_hash: str = ""
    trust: Trust | None = None
    filters: tuple[FilterVerdict, ...] = ()
    origin: Origin = "debugging"

    @property
    def kept(self) -> bool:
        return all(verdict.kept for verdict in self.filters)

    @property
    def content_hash(self) -> str:
        return content_hash(self.prompt, self.chosen, self.rejected, self.chosen_spans, self.rejected_spans)


class ImportedPair(Record):
    """An existing preference pair as it came, before spans: `chosen` and `rejected` keep their text to the character.

    `source` names the file or data set it was read from; `task_id` is the source's own, else the pair's id.
    """

    pair_id: str
    task_id: str
    prompt: Prompt
    chosen: str
    rejected: str
    source: str = ""
    license: str = ""


def content_hash(
    prompt: Prompt, chosen: str, rejected: str, chosen_spans: Sequence[Span], rejected_spans: Sequence[Span]
) -> str:
    """Identity of what is trained on; a pair whose text or spans were edited no longer matches."""
    spans = [[[s.start, s.stop] for s in side] for side in (chosen_spans, rejected_spans)]
    return fingerprint([[m.model_dump() for m in as_messages(prompt)], chosen, rejected, spans])
