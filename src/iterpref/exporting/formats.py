"""A pair → one row of another trainer's format, and whether the focal information arrives there.

`trl` and `trl_conversational` are the columns that most trainers share (TRL, LLaMA-Factory, OpenRLHF, Axolotl; a
configuration for each is in docs/data.md). They carry the spans as further columns, which `iterpref train` reads and
the others ignore: with those the loss covers the whole rejected completion. `ms_swift` needs no reader of ours:
ms-swift takes a completion in consecutive assistant messages, each with or without loss (4.6.0:
`Template._get_std_messages` joins them and keeps a flag for each part).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from iterpref.errors import ConfigError, RecordError
from iterpref.records import Message, PreferencePair, Span, as_messages, merged

ExportedRow = dict[str, Any]


@dataclass(frozen=True)
class ExportFormat:
    """One format: how a pair becomes a row, and what becomes of its spans, in a sentence for the card."""

    name: str
    row: Callable[[PreferencePair], ExportedRow]
    focal: str


def _trl(pair: PreferencePair) -> ExportedRow:
    """Texts; a prompt of one user turn is its text, any other raises RecordError."""
    prompt = pair.prompt
    if not isinstance(prompt, str):
        if [turn.role for turn in prompt] != ["user"]:
            raise RecordError(
                f"pair {pair.pair_id}: its prompt has the turns {', '.join(turn.role for turn in prompt)}; the format "
                "trl holds one text, so choose --format trl_conversational"
            )
        prompt = prompt[0].content
    return {"prompt": prompt, "chosen": pair.chosen, "rejected": pair.rejected, **_spans(pair)}


def _trl_conversational(pair: PreferencePair) -> ExportedRow:
    return {
        "prompt": _turns(as_messages(pair.prompt)),
        "chosen": [_answer(pair.chosen)],
        "rejected": [_answer(pair.rejected)],
        **_spans(pair),
    }


def _ms_swift(pair: PreferencePair) -> ExportedRow:
    """The rejected side in parts, of which only those in D⁻ have a loss."""
    prompt = _turns(as_messages(pair.prompt))
    rejected = [_answer(text) | {"loss": focal} for text, focal in parts(pair.rejected, pair.rejected_spans)]
    return {"messages": [*prompt, _answer(pair.chosen)], "rejected_messages": [*prompt, *rejected]}


def parts(text: str, spans: tuple[Span, ...]) -> Iterator[tuple[str, bool]]:
    """The text cut at the borders of its spans, sorted and disjoint: (part, whether in a span), none of them empty."""
    done = 0
    for start, stop in merged(spans):
        if start > done:
            yield text[done:start], False
        yield text[start:stop], True
        done = stop
    if done < len(text):
        yield text[done:], False


def _spans(pair: PreferencePair) -> ExportedRow:
    """What focal training needs besides the texts."""
    names = ("pair_id", "task_id", "chosen_spans", "rejected_spans")
    values = pair.model_dump(mode="json", include=set(names))
    return {name: values[name] for name in names} | {"content_hash": pair.content_hash}


def _turns(messages: tuple[Message, ...]) -> list[ExportedRow]:
    return [turn.model_dump() for turn in messages]


def _answer(text: str) -> ExportedRow:
    return {"role": "assistant", "content": text}


_COLUMNS = (
    "The wrong lines are in the columns `chosen_spans` and `rejected_spans`, which `iterpref train` reads. Other "
    "trainers ignore these columns: there the loss covers the whole rejected program, and the focal information is "
    "lost."
)
_NATIVE = (
    "The wrong lines survive: the rejected program is split into consecutive assistant messages, and only those with "
    "`loss: true` are penalised. ms-swift also trains the end-of-turn token after the last part, and tokenizes each "
    "part alone."
)

_FORMATS = (
    ExportFormat("trl", _trl, _COLUMNS),
    ExportFormat("trl_conversational", _trl_conversational, _COLUMNS),
    ExportFormat("ms_swift", _ms_swift, _NATIVE),
)
FORMATS = {made.name: made for made in _FORMATS}


def format_named(name: str) -> ExportFormat:
    """One of `FORMATS`; raises ConfigError for any other name."""
    if name not in FORMATS:
        raise ConfigError(f"--format {name}: expected one of trajectories, calls, {', '.join(FORMATS)}")
    return FORMATS[name]
