"""Existing preference pairs (`prompt, chosen, rejected`) → ImportedPairs in the store, where `pairing` finds them.

In: whatever `iterpref.rows` reads. A column may hold text or, as TRL's conversational format, a list of messages; then
`prompt` may be missing, when `chosen` and `rejected` begin with the same turns. Chosen and rejected keep their text to
the character. Nothing is executed: an imported pair is as true as its source. Not here: spans and filters (`pairing`).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from iterpref.errors import ConfigError, RecordError
from iterpref.records import ImportedPair, Message, Prompt, Record, as_messages, fingerprint
from iterpref.rows import (
    DEFAULT_PART,
    Columns,
    DatasetPart,
    RefusedRows,
    SourceRow,
    did_you_mean,
    explain,
    source_name,
    source_rows,
)
from iterpref.run_folder import import_note
from iterpref.store import Store

BATCH = 1024  # rows per transaction
COLUMNS = ("prompt", "chosen", "rejected", "task_id", "license")


class PairsSummary(Record):
    """How many pairs a source held."""

    pairs: int


def import_pairs(
    source: str | Path,
    store: Store,
    columns: Mapping[str, str] | None = None,
    part: DatasetPart = DEFAULT_PART,
    on_progress: Callable[[int], None] | None = None,
) -> PairsSummary:
    """Import pairs; a repeated import ends in the same pairs.

    Args:
        columns: Our name → the source's, for those that differ: `{"prompt": "instruction"}`. Besides prompt, chosen and
            rejected: `task_id` and `license`, both optional texts.
        on_progress: Called with the number of pairs stored so far.

    Raises:
        ConfigError: `columns` names a column that pairs don't have.
        RecordError: The source can't be read, or some rows can't be used; all others are imported.
    """
    reader = _PairReader(_columns(columns or {}), source_name(source))
    refused = RefusedRows(reader.source)
    pairs = reader.pairs(source_rows(str(source), part, refused), refused)
    stored = 0
    batch: list[ImportedPair] = []
    try:
        for stored, pair in enumerate(pairs, start=1):
            batch.append(pair)
            if len(batch) == BATCH:
                store.put_imported_pairs(batch)
                batch.clear()
                if on_progress:
                    on_progress(stored)
    finally:  # also when the source breaks half way
        store.put_imported_pairs(batch)
    summary = PairsSummary(pairs=stored)
    store.put_note(import_note(reader.source), summary.model_dump(mode="json"))
    refused.check(f"{stored} pairs")
    if not stored:
        raise RecordError(f"{source}: no rows; expected pairs with {', '.join(COLUMNS[:3])}")
    return summary


def _columns(columns: Mapping[str, str]) -> Columns:
    unknown = [name for name in columns if name not in COLUMNS]
    if unknown:
        raise ConfigError(
            f"column {unknown[0]}: pairs have no such column; expected one of {', '.join(COLUMNS)}"
            f"{did_you_mean(unknown[0], COLUMNS)}"
        )
    return Columns(COLUMNS, columns)


@dataclass(frozen=True)
class _PairReader:
    """Rows of one source → pairs."""

    columns: Columns
    source: str

    def pairs(self, rows: Iterator[SourceRow], refused: RefusedRows) -> Iterator[ImportedPair]:
        """Where the first row lacks chosen or rejected, that is one RecordError, not a refusal of each row."""
        for number, row in enumerate(rows):
            for name in ("chosen", "rejected"):
                if number == 0 and self.columns[name] not in row.values:
                    self._present(row, name, None)
            try:
                yield self._pair(row)
            except RecordError as error:
                refused.add(error)

    def _pair(self, row: SourceRow) -> ImportedPair:
        chosen, rejected = (self._present(row, name, self._value(row, name)) for name in ("chosen", "rejected"))
        prompt = self._prompt(row, chosen, rejected)
        texts = [self._completion(row, side, turns) for side, turns in (("chosen", chosen), ("rejected", rejected))]
        content = fingerprint([[turn.model_dump() for turn in as_messages(prompt)], *texts])
        # The number keeps the source's order; the content keeps two files of one name apart.
        pair_id = f"{row.source}:{row.number:07}-{content[:8]}"
        return ImportedPair(
            pair_id=pair_id,
            task_id=self.columns.text(row, "task_id") or pair_id,
            prompt=prompt,
            chosen=texts[0],
            rejected=texts[1],
            source=self.source,
            license=self.columns.text(row, "license"),
        )

    def _present(self, row: SourceRow, name: str, value: Prompt | None) -> Prompt:
        if value is None:
            found = ", ".join(row.values) or "none"
            advice = f"Name the right one: --column {name}=NAME"
            raise RecordError(f"{row.where}: no {self.columns[name]}; its columns are {found}. {advice}")
        return value

    def _prompt(self, row: SourceRow, chosen: Prompt, rejected: Prompt) -> Prompt:
        """The turns that both sides begin with, else the prompt column; where there are both they must agree."""
        prompt = self._value(row, "prompt")
        turns = _before_last(chosen)
        if turns != _before_last(rejected):
            raise RecordError(
                f"{row.where}: chosen and rejected begin with different turns; expected the same prompt in both"
            )
        if not turns:
            prompt = self._present(row, "prompt", prompt)
            if not any(turn.content.strip() for turn in as_messages(prompt)):
                raise RecordError(f"{row.where}: the prompt is empty; expected what was asked")
            return prompt
        without_system = tuple(turn for turn in turns if turn.role != "system")  # may stand in the sides only
        if prompt and as_messages(prompt) not in (turns, without_system):
            raise RecordError(
                f"{row.where}: the turns before the last one of chosen are not the prompt column; expected the same "
                "prompt in both, or one assistant turn in chosen and rejected"
            )
        return turns

    def _completion(self, row: SourceRow, name: str, side: Prompt) -> str:
        """The last turn, which is what is trained on."""
        if not isinstance(side, str):
            role, side = side[-1].role, side[-1].content
            if role != "assistant":
                raise RecordError(f"{row.where}: the last turn of {name} is the {role}'s; expected the assistant's")
        if not side.strip():
            raise RecordError(f"{row.where}: empty completion in {name}; drop the row or fill it in")
        return side

    def _value(self, row: SourceRow, name: str) -> Prompt | None:
        """A text, or messages without their other keys; None when absent or null."""
        column, value = self.columns[name], self.columns.value(row, name)
        if value is None or isinstance(value, str):
            return value
        if not isinstance(value, list):
            raise RecordError(f"{row.where}: {column} is {type(value).__name__}; expected text or a list of messages")
        if not value:
            raise RecordError(f"{row.where}: {column} is an empty list; expected at least one message")
        return tuple(self._message(row, f"{column}.{index}", turn) for index, turn in enumerate(value))

    def _message(self, row: SourceRow, where: str, turn: Any) -> Message:
        if not isinstance(turn, dict):
            raise RecordError(
                f"{row.where}: {where} is {type(turn).__name__}; expected a message with role and content"
            )
        try:
            return Message.model_validate({key: turn[key] for key in ("role", "content") if key in turn})
        except ValidationError as error:
            raise explain(f"{row.where}: {where}", error) from None


def _before_last(side: Prompt) -> tuple[Message, ...]:
    return () if isinstance(side, str) else side[:-1]
