"""Inputs and a canonical solution → expected outputs, computed once in the sandbox and kept in the user's cache.

In: for each task its program, its inputs, and how results are compared. Out: for each its outputs (in codec form) and
the CPU time they took, or why there are none. The cache's name holds the identity of all of them and of the Python that
computed them. Not here: judging programs against the outputs (`sandbox/tables.py`).
"""

import gzip
import json
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from iterpref.evaluation.benchmarks.sources import cache_folder
from iterpref.records import Limits, TestFile, fingerprint
from iterpref.sandbox import Job, Sandbox
from iterpref.sandbox.codec import encode
from iterpref.sandbox.tables import Row, write_row

_VERSION = 1  # of what is cached
LIMITS = Limits(cpu_s=300, wall_s=900, memory_bytes=4 << 30)


@dataclass(frozen=True)
class Question:
    """A canonical solution and the rows (without outputs) that it is to answer."""

    task_id: str
    program: str
    entry_point: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Reference:
    """What a canonical solution returned, in codec form; `problem` says why there is nothing."""

    task_id: str
    outputs: list[Any]
    cpu_s: float
    problem: str = ""


def references(benchmark: str, questions: Sequence[Question], sandbox: Callable[[], Sandbox]) -> dict[str, Reference]:
    """Task id → reference. `sandbox` is called only where the cache holds none.

    Raises:
        SandboxError: The sandbox broke.
    """
    identity = fingerprint([_VERSION, sys.version_info[:2], [_question(question) for question in questions]])
    path = cache_folder() / "references" / f"{benchmark}-{identity}.json.gz"
    if path.is_file():
        with gzip.open(path, "rt", encoding="utf-8") as file:
            return {row["task_id"]: Reference(**row) for row in json.load(file)}
    found = _compute(questions, sandbox())
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    with gzip.open(partial, "wt", encoding="utf-8", compresslevel=3) as file:
        json.dump([asdict(reference) for reference in found], file)
    partial.replace(path)
    return {reference.task_id: reference for reference in found}


def _compute(questions: Sequence[Question], sandbox: Sandbox) -> list[Reference]:
    def answer(question: Question) -> Reference:
        content = "\n".join(map(write_row, question.rows))
        job = Job(
            program=question.program,
            tests=(TestFile(path="inputs.jsonl", content=content),),
            style="calls",
            entry_point=question.entry_point,
            limits=LIMITS,
        )
        answers = sandbox.answers(job)
        outputs = [
            encode(value is not None) if row.match == "not_none" else encode(value)
            for row, value in zip(question.rows, answers.values, strict=False)
        ]
        return Reference(question.task_id, outputs, round(answers.cpu_s, 3), answers.problem)

    with ThreadPoolExecutor(sandbox.workers) as threads:
        return list(threads.map(answer, questions))


def _question(question: Question) -> list[Any]:
    return [question.task_id, question.program, question.entry_point, [write_row(row) for row in question.rows]]
