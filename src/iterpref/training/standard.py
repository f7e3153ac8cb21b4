"""Rows in TRL's preference formats → pairs with focal spans: what `FocalDPOTrainer` does with any dataset it is given.

    dataset = focal_dataset(load_dataset("json", data_files="pairs.jsonl", split="train"))

Text (`prompt`, `chosen`, `rejected`) or messages, as https://huggingface.co/docs/trl/dataset_formats describes them.
The lines in which the two completions differ are found here, unless the rows bring spans. Nothing is filtered.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from iterpref.errors import RecordError
from iterpref.line_diff import changed_spans
from iterpref.packages import need_packages
from iterpref.records import Message, PreferencePair, Span, as_messages
from iterpref.training.masking import check_spans
from iterpref.training.reading import FACTS, TrainingPair

if TYPE_CHECKING:
    from datasets import Dataset

Side = str | tuple[Message, ...]
_SIDES = ("chosen", "rejected")
_SPANS = ("chosen_spans", "rejected_spans")
_EXPECTED = "expected prompt, chosen and rejected, each text or a list of messages with role and content"
# Columns of TRL's that change what a model reads, which the spans would not follow.
_REFUSED = ("tools", "image", "images", "chat_template_kwargs")


def focal_dataset(dataset: "Dataset | Iterable[PreferencePair]") -> "Dataset":
    """Preference pairs as TRL takes them, as pairs with the spans of the lines that differ.

    D⁻ and D⁺ of arXiv:2503.02783, Algorithm 1.

    Args:
        dataset: Records, of which those are taken that no filter drops; or N rows with `chosen` and `rejected`, and
            `prompt` unless both begin with the same messages. Optional: `pair_id` (what `hybrid` and
            `diff_augmentation` draw by; default: the row's number), and `chosen_spans` and `rejected_spans`, lists of
            {start, stop} in the completion's text. Other columns are left out.

    Returns:
        N rows of what training reads: `pair_id`, `prompt`, `chosen`, `rejected` (texts; a conversation's prompt is a
        list of messages), `chosen_spans` and `rejected_spans` (D⁺ and D⁻, half-open ranges of characters, each a whole
        line). A dataset that has this form is returned as it is.

    Raises:
        RecordError: A column is missing, or a row is no preference pair; names the columns, or the row. No record is
            kept.
        SpanError: A row's own spans lie outside its text.
        MissingPackageError: `datasets` is not installed; the message says how to get it.
    """
    need_packages("focal_dataset", "datasets")
    return _of_rows(dataset) if hasattr(dataset, "column_names") else _of_records(dataset)


def _of_rows(dataset: Any) -> "Dataset":
    names = list(dataset.column_names or [])
    missing = [name for name in _SIDES if name not in names]
    if missing or len([name for name in _SPANS if name in names]) == 1:
        missing = missing or [name for name in _SPANS if name not in names]
        raise RecordError(f"the dataset has no column {', '.join(missing)}, only {', '.join(names)}; {_EXPECTED}")
    if set(TrainingPair.model_fields) <= set(names) and len(dataset) and isinstance(dataset[0]["rejected"], str):
        return dataset
    from datasets import Dataset

    pairs = [_pair(row, f"row {number}", str(number)) for number, row in enumerate(dataset)]
    return Dataset.from_list(pairs, features=_features(bool(pairs) and isinstance(pairs[0]["prompt"], list)))


def _of_records(pairs: Iterable[PreferencePair]) -> "Dataset":
    """The kept ones, with the facts that weigh and order pairs."""
    from datasets import Dataset, Value

    names = [*TrainingPair.model_fields, *FACTS]
    kept = [pair for pair in pairs if pair.kept]
    if not kept:
        raise RecordError("no pair is kept, so there is nothing to train on; `filters` of each pair says why")
    conversational = any(not isinstance(pair.prompt, str) for pair in kept)
    if conversational:
        kept = [pair.model_copy(update={"prompt": as_messages(pair.prompt)}) for pair in kept]
    rows = [pair.model_dump(include=set(names)) for pair in kept]
    facts = {"chosen_iteration": Value("int64"), "rejected_iteration": Value("int64"), "error_type": Value("string")}
    return Dataset.from_list(rows, features=_features(conversational, **facts))


def _pair(row: Mapping[str, Any], where: str, pair_id: str) -> dict[str, Any]:
    refused = [name for name in _REFUSED if row.get(name)]
    if refused:
        raise RecordError(f"{where}: column {refused[0]} can't be used with focal spans; leave it out")
    sides = {name: _turns(row[name], f"{where}: {name}") for name in _SIDES}
    texts = {name: _completion(side, f"{where}: {name}") for name, side in sides.items()}
    given = all(row.get(name) is not None for name in _SPANS)
    changed = changed_spans(texts["rejected"], texts["chosen"])
    spans = {"chosen_spans": changed.chosen, "rejected_spans": changed.rejected}
    for side, name in zip(_SIDES, _SPANS, strict=True):
        if given:
            spans[name] = tuple(Span.model_validate(span) for span in row[name])
        check_spans(spans[name], texts[side], f"{where}, {side}")
    return {
        "pair_id": str(row.get("pair_id") or pair_id),
        "prompt": _prompt(row.get("prompt"), sides["chosen"], sides["rejected"], where),
        **texts,
        **{name: [span.model_dump() for span in found] for name, found in spans.items()},
    }


def _turns(value: Any, where: str) -> Side:
    """A text, or messages without their other keys."""
    if isinstance(value, str):
        return value
    if not isinstance(value, Sequence) or not value:
        raise RecordError(f"{where} is {type(value).__name__}; {_EXPECTED}")
    try:
        return tuple(Message.model_validate({key: turn[key] for key in ("role", "content")}) for turn in value)
    except (ValidationError, KeyError, TypeError):
        raise RecordError(f"{where} holds something else than messages with role and content; {_EXPECTED}") from None


def _completion(side: Side, where: str) -> str:
    """What is trained on: the text, or the last message."""
    if not isinstance(side, str) and side[-1].role != "assistant":
        raise RecordError(f"{where} ends with a message of the {side[-1].role}; expected the assistant's")
    text = side if isinstance(side, str) else side[-1].content
    if not text:
        raise RecordError(f"{where} is empty; drop the row")
    return text


def _prompt(prompt: Any, chosen: Side, rejected: Side, where: str) -> str | list[dict[str, Any]]:
    """The prompt column, or the messages that both sides begin with; where there are both they must agree."""
    before = [() if isinstance(side, str) else side[:-1] for side in (chosen, rejected)]
    if before[0] != before[1] or isinstance(chosen, str) != isinstance(rejected, str):
        raise RecordError(f"{where}: chosen and rejected begin with different messages; expected the same in both")
    asked = _turns(prompt, f"{where}: prompt") if prompt else None
    if isinstance(asked, str) and isinstance(chosen, str):
        return asked
    turns = as_messages(asked) if asked else before[0]
    if before[0] and turns != before[0]:
        raise RecordError(
            f"{where}: the messages before the last one of chosen are not the prompt column; expected the same prompt "
            "in both, or one message in chosen and rejected"
        )
    if not turns:
        raise RecordError(f"{where}: there is no prompt; {_EXPECTED}")
    return [turn.model_dump() for turn in turns]


def _features(conversational: bool, **further: Any) -> Any:
    from datasets import Features, List, Value

    text, spans = Value("string"), List({"start": Value("int64"), "stop": Value("int64")})
    prompt = List({"role": text, "content": text}) if conversational else text
    texts = {"pair_id": text, "prompt": prompt, "chosen": text, "rejected": text}
    return Features(texts | {"chosen_spans": spans, "rejected_spans": spans} | further)
