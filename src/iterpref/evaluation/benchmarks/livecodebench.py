"""LiveCodeBench: contest problems with dates and difficulty, read from standard input or called as a function.

Jain et al., arXiv:2403.07974; `code_generation_lite`. Releases v1 to v6 each add a file, `test.jsonl` to `test6.jsonl`.
The private tests are base64 of zlib of a pickle of JSON text; the unpickler here builds text and nothing else.
How it is asked (livecodebench_prompts.py) and judged follows LiveCodeBench's own runner at commit 28fef95;
docs/evaluation.md compares the two rule by rule.
"""

import base64
import contextlib
import io
import json
import pickle
import zlib
from collections.abc import Iterable
from datetime import date, datetime
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from iterpref.evaluation.benchmarks.definition import BenchmarkDefinition, BenchmarkOptions, each
from iterpref.evaluation.benchmarks.livecodebench_prompts import one_shot, program_in, question
from iterpref.evaluation.benchmarks.releases import PublishedRow, Release
from iterpref.records import Limits, Task, TestFile
from iterpref.sandbox.call_tables import CallRow, arguments, encode, write_row

_MOST_BYTES = 1 << 30  # of one task's tests, unpacked
_FIELDS = ("question_id", "question_content", "starter_code", "public_test_cases", "private_test_cases", "metadata",
           "difficulty", "contest_date")  # fmt: skip
_FILES = ("test.jsonl", "test2.jsonl", "test3.jsonl", "test4.jsonl", "test5.jsonl", "test6.jsonl")
_TEST_S, _TEST_WALL_S = 6.0, 30.0  # the official harness allows each test six seconds on the clock
_MODULES = (
    "string re datetime collections heapq bisect copy math random statistics itertools functools operator io sys json"
)
# What the runner puts before each program, in its order.
_BEFORE = (
    "".join(f"from {name} import *\n" for name in (*_MODULES.split(), "builtins", "typing"))
    + "".join(f"import {name}\n" for name in _MODULES.split())
    + "sys.setrecursionlimit(50000)\n"
)
PUBLIC, PRIVATE = "public.jsonl", "private.jsonl"  # the first file's tests are the examples of the question


def _day(value: object) -> object:
    """The day of a date or a point in time, written or as YAML read it; anything else as it is."""
    with contextlib.suppress(ValueError):
        return str(datetime.fromisoformat(str(value)).date()) if isinstance(value, str | date) else value
    return value


_Day = Annotated[str, BeforeValidator(_day), Field(pattern=r"^\d{4}-\d\d-\d\d$")]


class LiveCodeBenchOptions(BenchmarkOptions):
    """Which contests' problems."""

    since: _Day | None = None
    """Only contests from this date on, as 2024-08-01."""
    until: _Day | None = None
    """Only contests up to this date."""
    difficulty: Literal["easy", "medium", "hard"] | None = None
    """Only problems of this difficulty."""

    def chooses(self, row: PublishedRow) -> bool:
        day = row["contest_date"][:10]
        return (
            (self.since is None or day >= self.since)
            and (self.until is None or day <= self.until)
            and self.difficulty in (None, row["difficulty"])
        )


class _TextOnly(pickle.Unpickler):
    """Plain values only: a pickle that names any class or function is refused."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"the pickle asks for {module}.{name}")


def private_tests(packed: str) -> list[dict[str, str]]:
    """The tests that a `private_test_cases` field holds; ValueError if it is not of the form described above."""
    with contextlib.suppress(json.JSONDecodeError):  # not plain JSON: the packed form, which says itself if it is none
        return _checked(json.loads(packed))
    try:
        unpacker = zlib.decompressobj()
        body = unpacker.decompress(base64.b64decode(packed, validate=True), _MOST_BYTES)
        if unpacker.unconsumed_tail:
            raise ValueError(f"more than {_MOST_BYTES} bytes of tests")
        text = _TextOnly(io.BytesIO(body)).load()
        return _checked(json.loads(text) if isinstance(text, str) else text)
    except (zlib.error, pickle.UnpicklingError, EOFError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise ValueError(f"the tests can't be unpacked ({error})") from None


def _checked(tests: Any) -> list[dict[str, str]]:
    if not isinstance(tests, list) or not all(map(_is_test, tests)):
        raise ValueError("expected a list of objects with input and output, both text")
    return tests


def _is_test(test: Any) -> bool:
    return isinstance(test, dict) and all(isinstance(test.get(side), str) for side in ("input", "output"))


def _task(row: PublishedRow) -> Task:
    function = json.loads(row["metadata"] or "{}").get("func_name")
    write = _calls if function else _cases
    given = {
        PUBLIC: _checked(json.loads(row["public_test_cases"])),
        PRIVATE: private_tests(row["private_test_cases"]),
    }
    files = [TestFile(path=path, content="\n".join(write(tests))) for path, tests in given.items() if tests]
    return Task(
        task_id=row["question_id"],
        prompt=question(row["question_content"], row["starter_code"]),
        tests=tuple(files),
        style="calls" if function else "stdio",
        entry_point=function,
        prefix=_BEFORE + (_method(function) if function else ""),
        limits=_limits(sum(map(len, given.values())) if function else 0),
        split=row["difficulty"],
        origin=f"livecodebench {row['contest_date'][:10]}",
    )


def _method(function: str) -> str:
    """The function as a method of one `Solution` for all calls; a program that defines it itself replaces this."""
    return (
        f"def {function}(*args):\n"
        "    if '_solution' not in globals():\n"
        "        globals()['_solution'] = Solution()\n"
        f"    return _solution.{function}(*args)\n"
    )


def _limits(calls: int) -> Limits:
    """Of a process that loads a program and makes so many calls; without calls it is one test itself."""
    whole = Limits(cpu_s=_TEST_S * (1 + calls), wall_s=_TEST_WALL_S * (1 + calls), memory_bytes=4 << 30)
    return whole.model_copy(update={"call_cpu_s": _TEST_S, "call_wall_s": _TEST_WALL_S}) if calls else whole


def _calls(tests: Iterable[dict[str, str]]) -> Iterable[str]:
    """One JSON value a line is an argument; a tuple is as good as a list, at the top alone."""
    for test in tests:
        values = [json.loads(line) for line in test["input"].split("\n") if line.strip()]
        wanted = json.loads(test["output"])
        also = (encode(tuple(wanted)),) if isinstance(wanted, list) else ()
        yield write_row(CallRow(arguments(values), encode(wanted), accept=also))


def _cases(tests: Iterable[dict[str, str]]) -> Iterable[str]:
    for test in tests:
        yield json.dumps({"stdin": test["input"], "stdout": test["output"], "match": "numbers"})


_release = partial(
    Release,
    name="livecodebench",
    variables=("ITERPREF_LIVECODEBENCH_PATH",),
    fields=_FIELDS,
    hub="livecodebench/code_generation_lite",
    revision="0fe84c3912ea0c4d4a78037083943e8f0c4dd505",
)
BENCHMARKS = tuple(
    BenchmarkDefinition(
        f"livecodebench-v{number}",
        each(_task),
        _release(version=f"release_v{number}", files=_FILES[:number]),
        id_prefix="livecodebench",
        difficulty=lambda task: task.split,
        options=LiveCodeBenchOptions,
        base_prompt=one_shot,
        base_stops=("###",),
        read_reply=program_in,
        public_tests=(PUBLIC,),
    )
    for number in range(1, len(_FILES) + 1)
)
