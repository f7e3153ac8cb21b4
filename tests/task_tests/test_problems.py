"""Tests that can't be right are found by their text; whatever might be right is left alone."""

import json
from pathlib import Path

import pytest

from iterpref.records import Style, Task, TestFile
from iterpref.task_tests import problem_of

CASE = "import unittest\nfrom solution import f\nclass T(unittest.TestCase):\n    def {}(self):\n        {}\n"


def task(style: Style, *contents: str, entry_point: str | None = None, packages: tuple[str, ...] = ()) -> Task:
    ending = "jsonl" if style in ("calls", "stdio") else "py"
    files = tuple(TestFile(path=f"test_{i}.{ending}", content=content) for i, content in enumerate(contents))
    return Task(task_id="t", prompt="f", tests=files, style=style, entry_point=entry_point, packages=packages)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        pytest.param(
            task("assert", "assert f(1) ==\n"),
            "test_0.py line 1: not Python (invalid syntax): assert f(1) ==",
            id="syntax",
        ),
        pytest.param(
            task("assert", "def ok():\n    assert f(1) == 2\n"), "test_0.py: asserts nothing", id="never called"
        ),
        pytest.param(
            task("assert", "assert 1 == 1"), "test_0.py: uses nothing of the program", id="without the program"
        ),
        pytest.param(
            task("unittest", CASE.format("it", "self.assertEqual(f(1), 2)")),
            "test_0.py: defines no test",
            id="no test method",
        ),
        pytest.param(
            task("pytest", "import solutoin\ndef test_f():\n    assert solutoin.f(1)"),
            "test_0.py line 1: imports solutoin, which is not installed here",
            id="module",
        ),
        pytest.param(
            task("calls", '{"args": "(1,)", "expected": "2"}'), "style calls needs the task's entry_point", id="calls"
        ),
        pytest.param(
            task("calls", '{"args": "(1,)"}', entry_point="f"),
            "test_0.jsonl line 1: expected an object with args and expected or input and output",
            id="rows",
        ),
        pytest.param(
            task("stdio", '{"stdin": "1", "stdout": "2"}\n{"stdin": "1"'), "test_0.jsonl line 2: not JSON", id="json"
        ),
        pytest.param(task("doctest", "f(1)\n2\n"), "test_0.py: holds no `>>>` example", id="doctest"),
    ],
)
def test_what_cannot_be_right(bad: Task, said: str) -> None:
    assert (problem_of(bad) or "").startswith(said)


@pytest.mark.parametrize(
    "good",
    [
        pytest.param(task("assert", "def ok():\n    assert f(1) == 2\nok()\n"), id="called"),
        pytest.param(task("assert", "for x in (1, 2):\n    assert f(x)"), id="loop"),
        pytest.param(task("assert", "if f(1) != 2:\n    raise ValueError"), id="raises"),
        pytest.param(task("assert", "from numpy.testing import assert_allclose\nassert_allclose(f(1), 2)"), id="numpy"),
        pytest.param(task("check", "def check(c):\n    assert c(1) == 2\n", entry_point="f"), id="check"),
        pytest.param(
            task(
                "pytest",
                "import pytest\nfrom solution import f\ndef test_f():\n    with pytest.raises(ValueError):\n"
                "        f(1)",
            ),
            id="pytest.raises",
        ),
        pytest.param(
            task("unittest", CASE.format("test_it", "self.helper(f(1), 2)"), "def helper(a, b):\n    assert a == b"),
            id="asserts in another file",
        ),
        pytest.param(task("unittest", CASE.format("test_it", "self.fail() if f(1) else None")), id="fail"),
        pytest.param(
            task(
                "pytest",
                "try:\n    from main import f\nexcept ImportError:\n    from solution import f\n"
                "def test_f():\n    assert f(1)",
            ),
            id="import with a way out",
        ),
        pytest.param(
            task(
                "pytest",
                "import not_here\nfrom solution import f\ndef test_f():\n    assert f(1)",
                packages=("not-here",),
            ),
            id="a package that the task names",
        ),
        pytest.param(
            task("pytest", "import subprocess\ndef test_f():\n    assert subprocess.run(['python', 'solution.py'])"),
            id="by its file",
        ),
        pytest.param(task("stdio", '{"stdout": "2"}'), id="stdio"),
    ],
)
def test_what_may_be_right(good: Task) -> None:
    assert problem_of(good) is None


def test_no_published_task_is_called_wrong(shared_data: Path) -> None:
    for row in map(json.loads, (shared_data / "benchmarks" / "mbpp.jsonl").read_text().splitlines()[::5]):
        tests = "\n".join([row["test_setup_code"], *row["test_list"]])
        assert problem_of(task("assert", tests.replace("\r\n", "\n"))) is None, row["task_id"]
    for row in map(json.loads, (shared_data / "benchmarks" / "humaneval.jsonl").read_text().splitlines()[::5]):
        assert problem_of(task("check", row["test"], entry_point=row["entry_point"])) is None, row["task_id"]
