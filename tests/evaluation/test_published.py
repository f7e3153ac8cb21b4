"""The published benchmarks: small files of our own in their formats, and the real ones where they are at hand."""

import base64
import gzip
import json
import pickle
import re
import threading
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from data import shared

from iterpref.errors import ConfigError, RecordError
from iterpref.evaluation import TaskChoice, load_benchmark
from iterpref.evaluation.benchmarks.livecodebench import private_tests
from iterpref.evaluation.benchmarks.mbpp import typed_inputs
from iterpref.evaluation.benchmarks.registry import DEFINITIONS
from iterpref.evaluation.benchmarks.releases import Release, load
from iterpref.evaluation.preflight import preflight
from iterpref.sandbox import Job, Sandbox


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(workers=2) as opened:
        yield opened


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ITERPREF_CACHE", str(tmp_path / "cache"))
    for name in ("HUMANEVAL_OVERRIDE_PATH", "MBPP_OVERRIDE_PATH", "ITERPREF_HUMANEVAL_PLUS_PATH"):
        monkeypatch.delenv(name, raising=False)


def plus_row(**changed: Any) -> dict[str, Any]:
    row = {
        "task_id": "HumanEval/0",
        "prompt": "def half(x):\n",
        "entry_point": "half",
        "canonical_solution": "    return x / 2\n",
        "base_input": [[2], [5]],
        "plus_input": [[1e300], [0]],
        "atol": 0,
    }
    return row | changed


def write(path: Path, *rows: dict[str, Any]) -> str:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return str(path)


@pytest.mark.parametrize(
    ("program", "base", "plus"),
    [
        pytest.param("def half(x): return x / 2", True, True, id="right"),
        pytest.param("def half(x): return x / 2 + 1e-9", True, True, id="floats may differ a little"),
        pytest.param("def half(x): return x / 2 if x < 100 else 0.0", True, False, id="wrong on a plus input"),
        pytest.param("def half(x): return x // 2 + 1", False, False, id="wrong on a base input"),
    ],
)
def test_evalplus_tasks(tmp_path: Path, sandbox: Sandbox, program: str, base: bool, plus: bool) -> None:
    path = write(tmp_path / "plus.jsonl.gz", plus_row())
    (task,) = load_benchmark("humaneval+", path=path, sandbox=sandbox).tasks
    execution = sandbox.run(Job.from_task(task, program))
    assert [test.verdict == "passed" for test in execution.tests] == [base, plus]
    assert execution.passed is plus and execution.trust == "oracle"


def test_references_are_computed_once(tmp_path: Path, sandbox: Sandbox) -> None:
    path = write(tmp_path / "plus.jsonl", plus_row())
    with pytest.raises(ConfigError, match="expected outputs are not cached"):
        load_benchmark("humaneval+", path=path)
    first = load_benchmark("humaneval+", path=path, sandbox=sandbox)
    assert load_benchmark("humaneval+", path=path).tasks == first.tasks
    changed = write(tmp_path / "plus.jsonl", plus_row(canonical_solution="    return x / 4\n"))
    with pytest.raises(ConfigError, match="expected outputs are not cached"):
        load_benchmark("humaneval+", path=changed)


def test_a_reference_that_fails_is_reported_apart(tmp_path: Path, sandbox: Sandbox) -> None:
    broken = plus_row(task_id="HumanEval/1", canonical_solution="    return 1 / x\n")
    path = write(tmp_path / "plus.jsonl", plus_row(), broken)
    found = load_benchmark("humaneval+", path=path, sandbox=sandbox)
    assert [task.task_id for task in found.tasks] == ["HumanEval/0"]
    assert found.broken["HumanEval/1"].startswith("error: call 3 raised ZeroDivisionError")


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        pytest.param("{}\n", RecordError, "plus.jsonl:1: without task_id, prompt", id="fields"),
        pytest.param("\n[1]\n", RecordError, "plus.jsonl:2: got list, expected an object", id="not an object"),
        pytest.param("{\n", RecordError, "plus.jsonl:1: not JSON", id="not JSON"),
        pytest.param("", RecordError, "holds no rows", id="empty"),
        pytest.param(None, ConfigError, "can't read this file", id="absent"),
    ],
)
def test_wrong_files(tmp_path: Path, text: str | None, error: type[Exception], message: str) -> None:
    path = tmp_path / "plus.jsonl"
    if text is not None:
        path.write_text(text)
    with pytest.raises(error, match=message):
        load_benchmark("humaneval+", path=str(path))


def test_a_task_twice(tmp_path: Path) -> None:
    path = write(tmp_path / "plus.jsonl", plus_row(), plus_row())
    with pytest.raises(RecordError, match="row 2 repeats the task HumanEval/0"):
        load_benchmark("humaneval+", path=path)


def test_path_then_environment_then_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/v1/rows.jsonl.gz" else 404)
            self.end_headers()
            self.wfile.write(gzip.compress(b'{"a": "release"}\n'))

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/v1/rows.jsonl.gz"
    source = Release("own", "v1", ("ITERPREF_OWN_PATH",), ("a",), url=url)
    released = load(source)
    assert released.rows == [{"a": "release"}] and "release v1" in released.place
    server.shutdown()
    server.server_close()
    assert load(source).rows == [{"a": "release"}]  # from the cache
    monkeypatch.setenv("ITERPREF_OWN_PATH", write(tmp_path / "environment.jsonl", {"a": "environment"}))
    assert load(source).rows == [{"a": "environment"}]
    assert load(source, write(tmp_path / "path.jsonl", {"a": "path"})).rows == [{"a": "path"}]
    monkeypatch.delenv("ITERPREF_OWN_PATH")
    with pytest.raises(ConfigError, match=r"can't be reached .* ITERPREF_OWN_PATH"):
        load(Release("other", "v1", ("ITERPREF_OWN_PATH",), ("a",), url=url))


@pytest.mark.parametrize(
    ("task_id", "given", "wanted"),
    [
        ("Mbpp/2", [[[1], [2]]], [[(1,), (2,)]]),
        ("Mbpp/63", [[[[1], [2]]]], [[[(1,), (2,)]]]),
        ("Mbpp/106", [[[1], [2]]], [[[1], (2,)]]),
        ("Mbpp/115", [[[[1, 1], [], 3]]], [[[{1}, {}, {}]]]),
        ("Mbpp/124", [["1.5", "2j"]], [[1.5, 2j]]),
        ("Mbpp/252", [["1+2j"]], [[1 + 2j]]),
        ("Mbpp/278", [[[1, [2]]]], [[(1, (2,))]]),
        ("Mbpp/307", [[[1], 2, 3]], [[(1,), 2, 3]]),
        ("Mbpp/580", [[[1, [2, [3]]]]], [[(1, (2, (3,)))]]),
        ("Mbpp/722", [[{"a": [1]}, 2]], [[{"a": (1,)}, 2]]),
        ("Mbpp/3", [[[1]]], [[[1]]]),
        ("Mbpp/3", {}, []),
    ],
)
def test_mbpp_inputs_get_their_types_back(task_id: str, given: Any, wanted: Any) -> None:
    assert typed_inputs(task_id, given) == wanted


def test_every_hub_source_is_pinned_to_a_commit() -> None:
    sources = [definition.release for definition in DEFINITIONS.values() if definition.release]
    hub = {source.name: source.revision for source in sources if source.hub}
    assert "humanevalfix" in hub and len(hub) >= 6
    assert [name for name, revision in hub.items() if not re.fullmatch(r"[0-9a-f]{40}", revision)] == []
    assert all(source.version in source.url for source in sources if source.url)


def packed(value: Any) -> str:
    return base64.b64encode(zlib.compress(pickle.dumps(value))).decode()


def test_livecodebench_private_tests() -> None:
    tests = [{"input": "1\n", "output": "2\n", "testtype": "stdin"}]
    assert private_tests(json.dumps(tests)) == tests
    assert private_tests(packed(json.dumps(tests))) == tests


class Hostile:
    def __reduce__(self) -> Any:
        return (print, ("owned",))


@pytest.mark.parametrize(
    "text",
    [packed(Hostile()), packed({"input": 1}), "!!", base64.b64encode(b"xx").decode(), '{"a": 1}'],
    ids=["class in the pickle", "no list", "no base64", "no zlib", "no tests"],
)
def test_livecodebench_refuses(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match=r"unpacked|expected a list|base64|Only|Incorrect"):
        private_tests(text)
    assert capsys.readouterr().out == ""


def test_livecodebench(tmp_path: Path, sandbox: Sandbox) -> None:
    def problem(name: str, date: str, private: list[dict[str, str]], function: str | None) -> dict[str, Any]:
        return {
            "question_id": name, "question_content": "Add.", "starter_code": "", "difficulty": "easy",
            "contest_date": f"{date}T00:00:00", "public_test_cases": "[]",
            "private_test_cases": packed(json.dumps(private)),
            "metadata": json.dumps({"func_name": function} if function else {}),
        }  # fmt: skip

    rows = [
        problem("stdin", "2024-08-01", [{"input": "1 2\n", "output": "3\n"}], None),
        problem("method", "2024-09-01", [{"input": "[1, 2]\n3", "output": "[1, 2, 3]"}], "join"),
    ]
    path = write(tmp_path / "test.jsonl", *rows)
    stdin, method = load_benchmark("livecodebench-v1", path=path).tasks
    assert sandbox.run(Job.from_task(stdin, "print(sum(map(int, input().split())))")).passed
    assert not sandbox.run(Job.from_task(stdin, "print(4)")).passed
    good = "class Solution:\n    def join(self, xs: List[int], x: int):\n        return tuple(xs) + (x,)"
    assert sandbox.run(Job.from_task(method, good)).passed
    assert sandbox.run(Job.from_task(method, "def join(xs, x): return xs + [x]")).passed
    assert not sandbox.run(Job.from_task(method, "def join(xs, x): return xs")).passed
    later = load_benchmark("livecodebench-v1", TaskChoice(options={"since": "2024-08-02"}), path=path)
    assert [task.task_id for task in later.tasks] == ["method"]
    with pytest.raises(ConfigError, match="can't read this file"):
        load_benchmark("livecodebench-v2", path=str(tmp_path))


@pytest.mark.parametrize(
    ("name", "file", "count"),
    [
        ("humaneval", "benchmarks/humaneval.jsonl", 164),
        ("mbpp-sanitized", "benchmarks/mbpp_sanitized.jsonl", 427),
        ("mbpp-full", "benchmarks/mbpp.jsonl", 974),
    ],
)
def test_canonical_solutions_pass(name: str, file: str, count: int, sandbox: Sandbox) -> None:
    found = load_benchmark(name, path=shared(file), sandbox=sandbox)
    assert len(found.tasks) == count
    assert preflight(found.tasks, sandbox) == {}


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("name", "file", "count"),
    [
        ("humaneval+", "benchmarks/humanevalplus-v0.1.10.jsonl.gz", 164),
        ("mbpp+", "benchmarks/mbppplus-v0.2.0.jsonl.gz", 378),
    ],
)
def test_canonical_solutions_pass_the_plus_tests(name: str, file: str, count: int, sandbox: Sandbox) -> None:
    found = load_benchmark(name, path=shared(file), sandbox=sandbox)
    assert len(found.tasks) == count and found.broken == {}
    assert preflight(found.tasks, sandbox) == {}


def test_the_preflight_names_the_cause(sandbox: Sandbox, tmp_path: Path) -> None:
    row = {"task_id": "T/0", "complete_prompt": "p", "instruct_prompt": "p", "entry_point": "task_func",
           "code_prompt": "import absent_library\ndef task_func(x):\n", "canonical_solution": "    return x\n",
           "test": "import unittest\nclass T(unittest.TestCase):\n    def test_it(self):\n"
                   "        self.assertEqual(task_func(1), 1)\n", "libs": "['absent_library', 'os']"}  # fmt: skip
    good = row | {"task_id": "T/1", "code_prompt": "import os\ndef task_func(x):\n", "libs": "['os']"}
    path = write(tmp_path / "b.jsonl", row, good)
    tasks = load_benchmark("bigcodebench-complete", path=path).tasks
    assert [task.packages for task in tasks] == [("absent_library",), ()]
    broken = preflight(tasks, sandbox)
    assert broken == {"T/0": "needs absent_library, which the sandbox's Python lacks"}
    assert sandbox.run(Job.from_task(tasks[1], "def task_func(x):\n    return x + 0")).passed
    assert not sandbox.run(Job.from_task(tasks[1], "def task_func(x):\n    return x + 1")).passed
