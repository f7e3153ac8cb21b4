"""LiveCodeBench: contest problems with dates and difficulty, read from standard input or called as a function.

Jain et al., arXiv:2403.07974; `code_generation_lite`. Releases v1 to v6 each add a file, `test.jsonl` to `test6.jsonl`.
The private tests are base64 of zlib of a pickle of JSON text; the unpickler here builds text and nothing else.
Output is compared line by line, blanks at line ends aside; the official harness also compares numbers by value.
"""

import base64
import contextlib
import io
import json
import pickle
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from iterpref.errors import ConfigError, RecordError
from iterpref.evaluation.benchmarks.sources import Loaded, Row, Source, read_rows
from iterpref.records import Limits, Task, TestFile
from iterpref.sandbox.inside.values.codec import encode
from iterpref.sandbox.reading.call_tables import CallRow as Call
from iterpref.sandbox.reading.call_tables import arguments, write_row

RELEASES = 6
_MOST_BYTES = 1 << 30  # of one task's tests, unpacked
_FIELDS = ("question_id", "question_content", "starter_code", "public_test_cases", "private_test_cases", "metadata",
           "difficulty", "contest_date")  # fmt: skip
LIVECODEBENCH = Source(
    name="livecodebench",
    version="release_v6",
    variables=("ITERPREF_LIVECODEBENCH_PATH",),
    fields=_FIELDS,
    hub="livecodebench/code_generation_lite",
    revision="0fe84c3912ea0c4d4a78037083943e8f0c4dd505",
)
_LIMITS = Limits(cpu_s=6.0, wall_s=30.0, memory_bytes=4 << 30)
_IMPORTS = "\n".join(
    f"from {name} import *"
    for name in ("string", "re", "datetime", "collections", "heapq", "bisect", "copy", "math", "random", "statistics",
                 "itertools", "functools", "operator", "io", "typing")
) + "\nimport string, re, datetime, collections, heapq, bisect, copy, math, random, statistics, itertools\n" \
    "import functools, operator, io, sys, json\n"  # fmt: skip
_ASKED = "Solve this problem in Python; put the whole program into one fenced code block.\n\n"


def load_release(release: int, path: str | None) -> Loaded:
    """The rows of releases 1 to `release`: from a folder of `test*.jsonl`, a single file, or the hub.

    Raises:
        ConfigError: A file is missing or can't be reached.
        RecordError: A line lacks a field.
    """
    names = ["test.jsonl", *(f"test{number}.jsonl" for number in range(2, release + 1))]
    if path and not Path(path).is_dir():
        return Loaded(read_rows(Path(path), _FIELDS), f"file {Path(path).name}")
    files = [Path(path) / name for name in names] if path else [_from_hub(name) for name in names]
    rows = [row for file in files for row in read_rows(file, _FIELDS)]
    return Loaded(rows, f"{LIVECODEBENCH.hub} {', '.join(names)}")


def livecodebench(
    loaded: Loaded, since: str | None = None, until: str | None = None, difficulty: str | None = None
) -> list[Task]:
    """The problems of contests from `since` to `until` (dates as 2024-08-01, both included) and of one difficulty."""
    chosen = [
        row
        for row in loaded.rows
        if (since is None or row["contest_date"][:10] >= since)
        and (until is None or row["contest_date"][:10] <= until)
        and (difficulty is None or row["difficulty"] == difficulty)
    ]
    return [_task(row) for row in chosen]


class _TextOnly(pickle.Unpickler):
    """Plain values only: a pickle that names any class or function is refused."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"the pickle asks for {module}.{name}")


def private_tests(packed: str) -> list[dict[str, str]]:
    """The tests that a `private_test_cases` field holds.

    Raises:
        ValueError: Not of the form described above.
    """
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
    if not isinstance(tests, list) or not all(isinstance(t, dict) and {"input", "output"} <= t.keys() for t in tests):
        raise ValueError("expected a list of objects with input and output")
    return tests


def _task(row: Row) -> Task:
    try:
        tests = [*_checked(json.loads(row["public_test_cases"])), *private_tests(row["private_test_cases"])]
        function = json.loads(row["metadata"] or "{}").get("func_name")
        lines = list(_calls(tests) if function else _cases(tests))
    except ValueError as error:
        raise RecordError(f"livecodebench {row['question_id']}: {error}; expected the released file") from None
    starter = f"\n\nUse this beginning:\n```python\n{row['starter_code']}\n```\n" if row["starter_code"] else ""
    # The function may be a method of `Solution`, or stand alone, which then replaces this.
    method = f"def {function}(*args):\n    return Solution().{function}(*args)\n" if function else ""
    return Task(
        task_id=row["question_id"],
        prompt=_ASKED + row["question_content"] + starter,
        tests=(TestFile(path="cases.jsonl", content="\n".join(lines)),),
        style="calls" if function else "stdio",
        entry_point=function,
        prefix=_IMPORTS + method,
        limits=_LIMITS,
        split=row["difficulty"],
        origin=f"livecodebench {row['contest_date'][:10]}",
    )


def _calls(tests: Iterable[dict[str, str]]) -> Iterable[str]:
    """One JSON value a line is an argument; a tuple is as good as a list."""
    for test in tests:
        values = [json.loads(line) for line in test["input"].split("\n") if line.strip()]
        wanted = json.loads(test["output"])
        also = (encode(tuple(wanted)),) if isinstance(wanted, list) else ()
        yield write_row(Call(arguments(values), encode(wanted), accept=also))


def _cases(tests: Iterable[dict[str, str]]) -> Iterable[str]:
    for test in tests:
        yield json.dumps({"stdin": test["input"], "stdout": test["output"]})


def _from_hub(name: str) -> Path:
    from huggingface_hub import hf_hub_download

    try:
        found = hf_hub_download(LIVECODEBENCH.hub, name, repo_type="dataset", revision=LIVECODEBENCH.revision)
    except Exception as error:  # the hub's client raises many kinds
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConfigError(
            f"benchmark livecodebench: {name} can't be reached ({reason}); name the folder of test*.jsonl by "
            f"evaluation.path or {LIVECODEBENCH.variables[0]}"
        ) from None
    return Path(found)
