"""Inputs and a canonical solution → tests with expected outputs, computed once and kept in the user's cache.

The cache's name holds the identity of the rows and of the Python that computed them. Each task is made ready by the
thread that waits for its outputs, so that the sandbox's workers don't wait for the host.
"""

import gzip
import json
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from iterpref.errors import ConfigError
from iterpref.evaluation.benchmarks.releases import cache_folder
from iterpref.files import whole
from iterpref.records import Limits, TestFile, fingerprint
from iterpref.sandbox import Job
from iterpref.sandbox.call_tables import CallRow, encode, write_row
from iterpref.sandbox.remote import AnySandbox

_VERSION = 2  # of what is cached, and of the code that makes tests of rows
LIMITS = Limits(cpu_s=300, wall_s=900, memory_bytes=4 << 30)


@dataclass(frozen=True)
class Question:
    """A canonical solution and the rows (without outputs) that it is to answer."""

    task_id: str
    program: str
    entry_point: str
    rows: tuple[CallRow, ...]


@dataclass(frozen=True)
class Reference:
    """The tests of a task, one content a file, and the CPU time its solution took; `problem`: why there are none."""

    task_id: str
    tests: tuple[str, ...]
    cpu_s: float
    problem: str = ""


Ask = Callable[[], Question]  # called in a thread
Finish = Callable[[Question, Sequence[Any]], Sequence[str]]


def references(
    benchmark: str, identity: Any, asks: Sequence[Ask], finish: Finish, sandbox: AnySandbox | None
) -> dict[str, Reference]:
    """Task id → reference. The sandbox is needed only where the cache holds none.

    Args:
        identity: JSON value that changes whenever any question does.
        finish: (question, outputs in codec form) → contents of the test files.

    Raises:
        ConfigError: The cache holds none, and there is no sandbox.
        SandboxError: The sandbox broke.
    """
    key = fingerprint([_VERSION, sys.version_info[:2], benchmark, identity])
    path = cache_folder() / "references" / f"{benchmark}-{key}.jsonl.gz"
    if not path.is_file():
        if sandbox is None:
            raise ConfigError(
                "this benchmark's expected outputs are not cached; give load_benchmark a sandbox to compute them"
            )
        found = _compute(asks, finish, sandbox)
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole(path) as partial:
            partial.write_bytes(b"".join(packed for _, packed in found))
        return {reference.task_id: reference for reference, _ in found}
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return {row["task_id"]: Reference(**row | {"tests": tuple(row["tests"])}) for row in rows}


def _compute(asks: Sequence[Ask], finish: Finish, sandbox: AnySandbox) -> list[tuple[Reference, bytes]]:
    """Each reference, and its line of the cache, compressed: a gzip file may have many members."""

    def answer(ask: Ask) -> tuple[Reference, bytes]:
        question = ask()
        job = Job(
            program=question.program,
            tests=(TestFile(path="inputs.jsonl", content="\n".join(map(write_row, question.rows))),),
            style="calls",
            entry_point=question.entry_point,
            limits=LIMITS,
        )
        answers = sandbox.answers(job)
        outputs = [
            encode(value is not None) if row.match == "not_none" else encode(value)
            for row, value in zip(question.rows, answers.values, strict=False)
        ]
        tests = () if answers.problem else tuple(finish(question, outputs))
        reference = Reference(question.task_id, tests, round(answers.cpu_s, 3), answers.problem)
        return reference, gzip.compress(f"{json.dumps(asdict(reference))}\n".encode(), compresslevel=3)

    # One thread more than workers: it makes the next question while the sandbox is busy.
    with ThreadPoolExecutor(sandbox.workers + 1) as threads:
        return list(threads.map(answer, asks))
