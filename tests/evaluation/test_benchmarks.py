from pathlib import Path

import pytest

from iterpref.errors import ConfigError, IterPrefError, RecordError
from iterpref.evaluation import TaskChoice, load_benchmark
from iterpref.evaluation.benchmarks import dataset_hash
from iterpref.records import Limits, Task, TestFile


def task(name: str, split: str = "test", prompt: str = "Add one.") -> Task:
    tests = (TestFile(path="calls.jsonl", content='{"args": "(1,)", "expected": "2"}'),)
    return Task(task_id=name, prompt=prompt, tests=tests, style="calls", entry_point="f", split=split)


def write(folder: Path, *lines: str) -> str:
    path = folder / "tasks.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def test_reads_tasks_in_order_and_skips_empty_lines(tmp_path: Path) -> None:
    tasks = [task("b", prompt="f(x): one more."), task("a", prompt="f(x): two\u2028separators\u0085in one string")]
    tasks.append(task("c", prompt="f(x): one more.", split="train"))
    lines = [task.model_dump_json() for task in tasks]
    path = write(tmp_path, lines[0], "", *lines[1:])
    assert load_benchmark(path).tasks == tasks
    assert load_benchmark(path, TaskChoice("test")).tasks == tasks[:2]
    assert load_benchmark(path, TaskChoice(limit=1)).tasks == tasks[:1]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        pytest.param(['{"task_id": "a"'], r"tasks.jsonl:1: not a task: Invalid JSON", id="cut line"),
        pytest.param(["", "[1]"], r"tasks.jsonl:2: not a task: Input should be an object", id="not an object"),
        pytest.param(
            ['{"task_id": "a", "prompt": "p"}'], r"tasks.jsonl:1: tests is missing .*; not a task", id="field"
        ),
        pytest.param(
            ['{"task_id": "a", "prompt": "p", "style": "calls", "tests": []}'],
            r"tasks.jsonl:1: task a: no tests; .*; not a task",
            id="no tests",
        ),
        pytest.param(
            [task("a").model_dump_json(), task("b").model_dump_json(), task("a").model_dump_json()],
            r"tasks.jsonl:3: task a was on line 1 already",
            id="same id twice",
        ),
        pytest.param(["", ""], r"no tasks of split held_out; the file has no task at all", id="empty file"),
        pytest.param(
            [task("a").model_dump_json()], r"no tasks of split held_out; the file has test \(1\)", id="other split"
        ),
    ],
)
def test_bad_files_are_refused_with_their_line(tmp_path: Path, lines: list[str], message: str) -> None:
    with pytest.raises(RecordError, match=message):
        load_benchmark(write(tmp_path, *lines), TaskChoice("held_out"))


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't read this benchmark \\(No such file"):
        load_benchmark(str(tmp_path / "absent.jsonl"))
    (tmp_path / "binary.jsonl").write_bytes(b"{}\n\xff\xfe")
    with pytest.raises(ConfigError, match=r"not UTF-8 text \(byte 3\)"):
        load_benchmark(str(tmp_path / "binary.jsonl"))
    with pytest.raises(RecordError, match=r"no \*.parquet and no \*.jsonl in this folder"):
        (tmp_path / "empty").mkdir()
        load_benchmark(str(tmp_path / "empty"))
    with pytest.raises(ConfigError, match=r"benchmark humanevil: unknown; did you mean humaneval or humaneval\+"):
        load_benchmark("humanevil")


def test_playground() -> None:
    tasks = load_benchmark("playground", TaskChoice("held_out", 5)).tasks
    assert len(tasks) == 5 and {task.split for task in tasks} == {"held_out"}
    assert load_benchmark("playground", TaskChoice(limit=5)).tasks == tasks
    with pytest.raises(IterPrefError, match=r"split is test; expected one of .*train, validation, held_out"):
        load_benchmark("playground", TaskChoice("test"))


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"prompt": "Add two."}, id="prompt"),
        pytest.param({"tests": (TestFile(path="t", content='{"args": "(1,)", "expected": "3"}'),)}, id="tests"),
        pytest.param({"prefix": "import math"}, id="prefix"),
        pytest.param({"task_id": "z"}, id="id"),
    ],
)
def test_dataset_hash_changes_with(changed: dict[str, object]) -> None:
    tasks = [task("a"), task("b")]
    assert dataset_hash([tasks[0].model_copy(update=changed), tasks[1]]) != dataset_hash(tasks)
    assert dataset_hash(tasks[:1]) != dataset_hash(tasks)


def test_dataset_hash_ignores_order_references_and_limits() -> None:
    tasks = [task("a"), task("b")]
    known = {"reference": "def f(x): return x + 1", "limits": Limits(cpu_s=1)}
    solved = [t.model_copy(update=known) for t in tasks]
    assert dataset_hash(solved[::-1]) == dataset_hash(tasks)
