"""Files of completions: read, a program per (task, sample) with its text as it came; and written, of a Result.

Read are EvalPlus's and BigCodeBench's JSONL (`{"task_id", "solution"}`, a whole program, or `{"task_id",
"completion"}`, which continues the task's prompt) and LiveCodeBench's JSON (`[{"question_id", "code_list"}]`).
A `solution` is run as it is, unless asked for otherwise.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from iterpref.errors import ConfigError, RecordError
from iterpref.evaluation.sanitize import sanitize
from iterpref.files import write_json, write_text
from iterpref.records import Result, Task, fingerprint
from iterpref.rows import BrokenRow, SourceRow, UnreadableSource, read_rows

_EXPECTED = "task_id and solution (a whole program) or completion (which continues the prompt)"


@dataclass(frozen=True)
class Answer:
    """One completion as it came, and the program it amounts to; `cut`: it was cut off at the token limit."""

    completion: str
    program: str
    cut: bool = False


@dataclass(frozen=True)
class Samples:
    """Completions by task; `name` holds the file's name and its content's hash."""

    name: str
    by_task: dict[str, list[Answer]]


class _Entry(NamedTuple):
    """One sample of a file; `kind` is `solution` or `completion`."""

    number: int
    task_id: str
    kind: str
    code: str
    sample_index: int | None = None


def read_samples(
    path: Path, tasks: Sequence[Task], sanitized: bool = False, missing: Mapping[str, str] | None = None
) -> Samples:
    """The completions of a file for the tasks of a benchmark, in the file's order.

    Args:
        sanitized: Cut each program down to what its entry point needs first.
        missing: Tasks that are known but can't be judged here; their samples are left out.

    Raises:
        ConfigError: The file can't be read.
        RecordError: A line has another form (with its number), names a task that the benchmark hasn't, or is given
            twice, or a task has no sample.
    """
    known = {task.task_id: task for task in tasks}
    entries = [entry for entry in _entries(path) if entry.task_id not in (missing or {})]
    found: dict[str, list[Answer]] = {task_id: [] for task_id in known}
    for entry in entries:
        if entry.task_id not in known:
            raise RecordError(
                f"{path}:{entry.number}: task {entry.task_id} is not in the benchmark, which has {_some(list(known))}"
            )
        found[entry.task_id].append(_answer(known[entry.task_id], entry, sanitized))
    repeated = _repeated(path, entries)
    without = [task_id for task_id, samples in found.items() if not samples]
    if without:
        raise RecordError(
            f"{path}: {len(without)} of {len(known)} tasks have no sample: {_some(without)}; complete the file, or "
            "evaluate fewer tasks (evaluation.tasks)"
        )
    if repeated and len({len(samples) for samples in found.values()}) > 1:
        raise RecordError(
            f"{repeated}, and not all tasks have as many samples, as if parts were joined twice; remove it, or give "
            "each line a sample_index where equal samples are meant"
        )
    content = path.read_text(encoding="utf-8", errors="surrogateescape")
    return Samples(f"samples:{path.name}:{fingerprint(content)[:12]}", found)


def write_result(result: Result, folder: Path) -> Path:
    """Write `ID.json`, the record, whose path is returned, and `ID.samples.jsonl`, its programs in EvalPlus's form.

    Each is whole or not there; written again they are the same files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {"task_id": s.task_id, "sample_index": s.sample_index, "solution": s.program, "raw": s.completion}
        for s in result.samples
    ]
    write_text(folder / f"{result.result_id}.samples.jsonl", "".join(f"{json.dumps(row)}\n" for row in rows))
    path = folder / f"{result.result_id}.json"
    write_json(path, result.model_dump(mode="json"), indent=1)
    return path


def _repeated(path: Path, entries: Sequence[_Entry]) -> str:
    """Where an equal sample comes again, in words, or ""; RecordError if a numbered one does."""
    seen: dict[tuple[str, str, int | str], int] = {}
    repeated = ""
    for number, task_id, kind, code, index in entries:
        first = seen.setdefault((task_id, kind if index is not None else "", code if index is None else index), number)
        if first == number:
            continue
        if index is not None:
            raise RecordError(f"{path}:{number}: sample {index} of task {task_id} was on line {first} already")
        repeated = repeated or f"{path}:{number}: the sample of task {task_id} on line {first} again"
    return repeated


def _answer(task: Task, entry: _Entry, sanitized: bool) -> Answer:
    program = entry.code
    if entry.kind == "completion":
        if not isinstance(task.prompt, str):
            raise RecordError(f"task {task.task_id}: its prompt is a conversation, which a completion can't continue")
        program = task.prompt + program
    return Answer(entry.code, sanitize(program, task.entry_point) if sanitized else program)


def _entries(path: Path) -> Iterator[_Entry]:
    try:
        for row in read_rows(path, name=str(path)):
            yield from _livecodebench(path, row) if "question_id" in row.values else [_evalplus(row)]
    except UnreadableSource as error:
        raise ConfigError(f"{path}: can't read this samples file ({error.reason}); check --samples") from None
    except BrokenRow as error:
        if error.byte is not None:
            raise ConfigError(f"{path}: not UTF-8 text (byte {error.byte}); expected JSONL with {_EXPECTED}") from None
        where = f"{path}:{error.number}"
        if error.value is not None:
            raise RecordError(f"{where}: got {type(error.value).__name__}; expected {_EXPECTED}") from None
        raise RecordError(f"{where}: not JSON ({error.reason}); expected one object a line: {_EXPECTED}") from None


def _evalplus(row: SourceRow) -> _Entry:
    values = row.values
    kind = next((k for k in ("solution", "completion") if isinstance(values.get(k), str)), "")
    if not kind or not isinstance(values.get("task_id"), str | int):
        raise RecordError(f"{row.where}: got {', '.join(sorted(values))}; expected {_EXPECTED}")
    index = values.get("sample_index")
    return _Entry(row.number, str(values["task_id"]), kind, values[kind], index if isinstance(index, int) else None)


def _livecodebench(path: Path, row: SourceRow) -> list[_Entry]:
    codes = row.values.get("code_list")
    if not isinstance(codes, list) or not all(isinstance(code, str) for code in codes):
        raise RecordError(f"{path}: element {row.number}: expected an object with question_id and code_list (texts)")
    return [_Entry(row.number, str(row.values["question_id"]), "solution", code) for code in codes]


def _some(ids: list[str]) -> str:
    return ", ".join(ids[:3]) + (f" and {len(ids) - 3} more" if len(ids) > 3 else "")
