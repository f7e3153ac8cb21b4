"""How hard tasks are said to be."""

import pytest

from iterpref.evaluation.benchmarks import Benchmark
from iterpref.evaluation.benchmarks.registry import DEFINITIONS
from iterpref.records import Task, TestFile


def task(name: str, reference: str | None, split: str = "test") -> Task:
    tests = (TestFile(path="calls.jsonl", content='{"args": "(1,)", "expected": "2"}'),)
    return Task(task_id=name, prompt="p", tests=tests, style="calls", entry_point="f", reference=reference, split=split)


@pytest.mark.parametrize(
    ("reference", "label"),
    [
        pytest.param("def f(x):\n    return x", "reference: 1-5 lines", id="short"),
        pytest.param('def f(x):\n    """' + "text\n" * 30 + '"""\n    # why\n    return x', "reference: 1-5 lines",
                     id="docstring and comments don't count"),
        pytest.param("def f(x):\n" + "    x += 1\n" * 8 + "    return x", "reference: 6-10 lines", id="ten"),
        pytest.param("def f(x):\n" + "    x += 1\n" * 50, "reference: 41 lines or more", id="long"),
        pytest.param("def f(x:\n\n", "reference: 1-5 lines", id="not Python"),
    ],
)  # fmt: skip
def test_by_the_reference(reference: str, label: str) -> None:
    assert Benchmark("own", [task("a", reference), task("b", None)]).difficulty == {"a": label}


def test_livecodebench_says_it() -> None:
    benchmark = Benchmark("livecodebench-v1", [task("a", None, "hard")], DEFINITIONS["livecodebench-v1"])
    assert benchmark.difficulty == {"a": "hard"}
