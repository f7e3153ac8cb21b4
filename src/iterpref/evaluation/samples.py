"""Files of completions: read, a program per (task, sample) with its text as it came; and written, of a Result.

Read are EvalPlus's and BigCodeBench's JSONL (`{"task_id", "solution"}`, a whole program, or `{"task_id",
"completion"}`, which continues the task's prompt) and LiveCodeBench's JSON (`[{"question_id", "code_list"}]`).
A `solution` is run as it is, unless asked for otherwise. Verdicts that a file carries (`graded_list` of LiveCodeBench's
`*_eval_all.json`, `passed` of HumanEval's `*_results.jsonl`) are kept, to be compared with those reached here.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from iterpref.errors import ConfigError, RecordError
from iterpref.evaluation.sanitize import sanitize
from iterpref.files import write_json, write_text
from iterpref.records import Result, Task, fingerprint
from iterpref.rows import BrokenRow, SourceRow, UnreadableSource, read_rows

_EXPECTED = "task_id and solution (a whole program) or completion (which continues the prompt)"


@dataclass(frozen=True)
class Answer:
    """One completion as it came, and the program it amounts to.

    `cut`: it was cut at `max_tokens` before its program ended; `recorded`: whether it passed where it was recorded, if
    that is known; `refused`: why the model gives none.
    """

    completion: str
    program: str
    cut: bool = False
    recorded: bool | None = None
    refused: str = ""


@dataclass(frozen=True)
class Samples:
    """Completions by task; `name` holds the file's name and its content's hash; `left_out` counts those of tasks that
    were not chosen, or can't be judged here."""

    name: str
    by_task: dict[str, list[Answer]]
    left_out: int = 0

    def facts(self, result: Result) -> dict[str, Any]:
        """What became of the file, for a Result of it: how many completions were left out, and how many recorded
        verdicts are those reached here, with the samples that differ (`task:index`)."""
        found: dict[str, Any] = {"left_out": self.left_out} if self.left_out else {}
        verdicts = {
            f"{sample.task_id}:{sample.sample_index}": (recorded, sample.execution.passed)
            for sample in result.samples
            if (recorded := self.by_task[sample.task_id][sample.sample_index].recorded) is not None
        }
        if verdicts:
            differ = [place for place, (recorded, here) in verdicts.items() if recorded != here]
            found["recorded"] = {"verdicts": len(verdicts), "agree": len(verdicts) - len(differ), "differ": differ}
        return found


class _Entry(NamedTuple):
    """One sample of a file; `kind` is `solution` or `completion`."""

    number: int
    task_id: str
    kind: str
    code: str
    sample_index: int | None = None
    recorded: bool | None = None


def read_samples(
    path: Path,
    tasks: Sequence[Task],
    sanitized: bool = False,
    missing: Mapping[str, str] | None = None,
    outside: Callable[[], Collection[str]] = frozenset,
) -> Samples:
    """The completions of a file for the tasks of a benchmark, in the file's order.

    Args:
        sanitized: Cut each program down to what its entry point needs first.
        missing: Tasks that are known but can't be judged here; their samples are left out.
        outside: Gives the ids of tasks that the benchmark has and that were not chosen; their samples are left out.

    Raises:
        ConfigError: The file can't be read.
        RecordError: A line has another form (with its number), names a task that the benchmark hasn't, or is given
            twice, or a task has no sample.
    """
    known = {task.task_id: task for task in tasks}
    given = list(_entries(path))
    entries = [entry for entry in given if entry.task_id in known]
    if others := [entry for entry in given if entry.task_id not in known | dict(missing or {})]:
        not_chosen = outside()
        for entry in others:
            if entry.task_id not in not_chosen:
                raise RecordError(
                    f"{path}:{entry.number}: task {entry.task_id} is not in the benchmark, which has "
                    f"{_some(list(known))}"
                )
    found: dict[str, list[Answer]] = {task_id: [] for task_id in known}
    for entry in entries:
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
    return Samples(f"samples:{path.name}:{fingerprint(content)[:12]}", found, len(given) - len(entries))


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
    for number, task_id, kind, code, index, _ in entries:
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
    program = sanitize(program, task.entry_point) if sanitized else program
    return Answer(entry.code, program, recorded=entry.recorded)


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
    index, passed = values.get("sample_index"), values.get("passed")
    return _Entry(
        row.number,
        str(values["task_id"]),
        kind,
        values[kind],
        index if isinstance(index, int) else None,
        passed if isinstance(passed, bool) else None,
    )


def _livecodebench(path: Path, row: SourceRow) -> list[_Entry]:
    codes = row.values.get("code_list")
    if not isinstance(codes, list) or not all(isinstance(code, str) for code in codes):
        raise RecordError(f"{path}: element {row.number}: expected an object with question_id and code_list (texts)")
    graded = row.values.get("graded_list", [None] * len(codes))
    if not isinstance(graded, list) or len(graded) != len(codes) or not all(isinstance(v, bool | None) for v in graded):
        raise RecordError(
            f"{path}: element {row.number}: expected a graded_list of as many true and false as there are programs in "
            "code_list"
        )
    task_id = str(row.values["question_id"])
    return [
        _Entry(row.number, task_id, "solution", code, recorded=passed)
        for code, passed in zip(codes, graded, strict=True)
    ]


def _some(ids: list[str]) -> str:
    return ", ".join(ids[:3]) + (f" and {len(ids) - 3} more" if len(ids) > 3 else "")
