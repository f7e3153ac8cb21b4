"""Files of existing completions ⇄ what is scored: a program per (task, sample), with its text as it came.

Read: EvalPlus's and BigCodeBench's JSONL (`{"task_id", "solution"}`, a whole program, or `{"task_id", "completion"}`,
which continues the task's prompt) and LiveCodeBench's JSON (`[{"question_id", "code_list"}]`). Written: EvalPlus's.
A `solution` is run as it is, unless asked for otherwise. Not here: running them (evaluate.py).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iterpref.errors import ConfigError, RecordError
from iterpref.evaluation.sanitize import sanitize
from iterpref.records import Result, Task, fingerprint

_EXPECTED = "task_id and solution (a whole program) or completion (which continues the prompt)"


@dataclass(frozen=True)
class Given:
    """One completion as recorded, and the program it amounts to."""

    completion: str
    program: str


@dataclass(frozen=True)
class Samples:
    """Completions by task. `name` says which file, and its content's hash."""

    name: str
    by_task: dict[str, list[Given]]


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
    found: dict[str, list[Given]] = {task_id: [] for task_id in known}
    seen: dict[tuple[str, str, int], int] = {}
    same: dict[tuple[str, str], int] = {}
    repeated = ""
    text = _text(path)
    for number, task_id, kind, code, index in _entries(path, text):
        if task_id in (missing or {}):
            continue
        if task_id not in known:
            raise RecordError(
                f"{path}:{number}: task {task_id} is not in the benchmark, which has {_some(list(known))}"
            )
        if index is not None:
            first = seen.setdefault((task_id, kind, index), number)
            if first != number:
                raise RecordError(f"{path}:{number}: sample {index} of task {task_id} was on line {first} already")
        elif (first := same.setdefault((task_id, code), number)) != number and not repeated:
            repeated = f"{path}:{number}: the sample of task {task_id} on line {first} again"
        found[task_id].append(_given(known[task_id], kind, code, sanitized))
    without = [task_id for task_id, given in found.items() if not given]
    if without:
        raise RecordError(
            f"{path}: {len(without)} of {len(known)} tasks have no sample: {_some(without)}; complete the file, or "
            "evaluate fewer tasks (evaluation.tasks)"
        )
    if repeated and len({len(given) for given in found.values()}) > 1:
        raise RecordError(
            f"{repeated}, and not all tasks have as many samples, as if parts were joined twice; remove it, or give "
            "each line a sample_index where equal samples are meant"
        )
    return Samples(f"samples:{path.name}:{fingerprint(text)[:12]}", found)


def write_samples(result: Result, path: Path) -> None:
    """The programs of a Result in EvalPlus's form, which `read_samples` and other harnesses take."""
    lines = [
        json.dumps({"task_id": s.task_id, "sample_index": s.sample_index, "solution": s.program, "raw": s.completion})
        for s in result.samples
    ]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _given(task: Task, kind: str, code: str, sanitized: bool) -> Given:
    if kind == "completion":
        if not isinstance(task.prompt, str):
            raise RecordError(f"task {task.task_id}: its prompt is a conversation, which a completion can't continue")
        program = task.prompt + code
    else:
        program = code
    return Given(code, sanitize(program, task.entry_point) if sanitized else program)


def _entries(path: Path, text: str) -> list[tuple[int, str, str, str, int | None]]:
    """(line or element, task id, kind, code, sample index) of each sample."""
    if text.lstrip().startswith("["):
        return _livecodebench(path, text)
    entries = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise RecordError(f"{path}:{number}: not JSON ({error}); expected one object a line: {_EXPECTED}") from None
        kind = next(
            (k for k in ("solution", "completion") if isinstance(row, dict) and isinstance(row.get(k), str)), ""
        )
        if not kind or not isinstance(row.get("task_id"), str | int):
            got = ", ".join(sorted(row)) if isinstance(row, dict) else type(row).__name__
            raise RecordError(f"{path}:{number}: got {got}; expected {_EXPECTED}")
        index = row.get("sample_index")
        entries.append((number, str(row["task_id"]), kind, row[kind], index if isinstance(index, int) else None))
    return entries


def _livecodebench(path: Path, text: str) -> list[tuple[int, str, str, str, int | None]]:
    try:
        rows: list[Any] = json.loads(text)
    except ValueError as error:
        raise RecordError(f"{path}: not JSON ({error}); expected a list of question_id and code_list") from None
    entries: list[tuple[int, str, str, str, int | None]] = []
    for number, row in enumerate(rows, start=1):
        codes = row.get("code_list") if isinstance(row, dict) else None
        if not isinstance(codes, list) or not all(isinstance(c, str) for c in codes) or "question_id" not in row:
            raise RecordError(f"{path}: element {number}: expected an object with question_id and code_list (texts)")
        entries += [(number, str(row["question_id"]), "solution", code, None) for code in codes]
    return entries


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: can't read this samples file ({error.strerror}); check --samples") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text (byte {error.start}); expected JSONL with {_EXPECTED}") from None


def _some(ids: list[str]) -> str:
    return ", ".join(ids[:3]) + (f" and {len(ids) - 3} more" if len(ids) > 3 else "")
