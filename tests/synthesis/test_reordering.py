"""Repeats of a program run its tests in another order, whatever the framework; what a file prepares stays in place."""

from collections.abc import Iterator

import pytest

from iterpref.config import ValidationConfig
from iterpref.records import Task, TestFile
from iterpref.sandbox import Sandbox
from iterpref.synthesis.validate import Validator

COUNTING = "calls = []\ndef f(x):\n    calls.append(x)\n    return len(calls)\n"  # right in one order only
RIGHT = "def f(x):\n    return x * 2\n"
REPEATS = 3


@pytest.fixture(scope="module")
def validator() -> Iterator[Validator]:
    settings = ValidationConfig(repeats=REPEATS, mutants=0)
    made = Validator(settings, lambda hash_seed: Sandbox(workers=1, hash_seed=hash_seed))
    yield made
    made.close()


def task(content: str, style: str) -> Task:
    tests = (TestFile(path="test_f.py", content=content),)
    return Task(task_id="t", prompt="p", tests=tests, style=style, entry_point="f")  # type: ignore[arg-type]


def methods(base: str, *names: str) -> str:
    """A class whose tests are right in the order of their names."""
    assertion = "self.assertEqual(f(0), {})" if base else "assert f(0) == {}"
    bodies = (f"    def test_{name}(self):\n        {assertion.format(name)}\n" for name in names)
    return f"class Test{names[0]}{f'({base})' if base else ''}:\n{''.join(bodies)}"


UNITTEST = "import unittest\nfrom solution import f\n"
PYTEST = "from solution import f\n"


@pytest.mark.parametrize(
    ("style", "content"),
    [
        pytest.param("unittest", UNITTEST + methods("unittest.TestCase", *"1234"), id="unittest methods"),
        pytest.param("unittest", UNITTEST + "".join(methods("unittest.TestCase", name) for name in "1234"),
                     id="unittest classes"),
        pytest.param("pytest", PYTEST + "".join(f"def test_{i}():\n    assert f(0) == {i}\n" for i in range(1, 5)),
                     id="pytest functions"),
        pytest.param("pytest", PYTEST + methods("", *"1234"), id="pytest methods"),
        pytest.param("pytest", PYTEST + "".join(methods("", name) for name in "1234"), id="pytest classes"),
        pytest.param("pytest", UNITTEST + methods("unittest.TestCase", *"1234"), id="pytest with TestCase"),
        pytest.param("check", "def check(candidate):\n" + "".join(f"    assert candidate(0) == {i}\n"
                     for i in range(1, 5)), id="check"),
        pytest.param("assert", "import math\n" + "".join(f"assert f(0) == {i}\n" for i in range(1, 5)), id="asserts"),
        pytest.param("doctest", "".join(f">>> f(0)\n{i}\n" for i in range(1, 5)), id="doctest"),
    ],
)  # fmt: skip
def test_defect_14_tests_of_every_framework_change_places(validator: Validator, style: str, content: str) -> None:
    found = validator.run_again(task(content, style), COUNTING)
    assert (found.repeats, 0 < found.repeats_passed < REPEATS) == (REPEATS, True)


SHARED = """
import unittest
from solution import f
CASES = [(1, 2)]
def setUpModule():
    CASES.append((3, 6))
class TestA(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.factor = 2
    def setUp(self):
        self.x = 5
    def test_one(self):
        self.assertEqual(f(self.x), self.x * self.factor)
    def test_two(self):
        for x, doubled in CASES:
            self.assertEqual(f(x), doubled)
        self.assertEqual(len(CASES), 2)
class TestB(TestA):
    def test_three(self):
        self.assertEqual(f(0), 0)
if __name__ == "__main__":
    unittest.main()
"""
FIXTURES = """
import pytest
from solution import f
@pytest.fixture(scope="module")
def numbers():
    return [1, 2]
CASES = [(1, 2)]
@pytest.mark.parametrize(("x", "doubled"), CASES)
def test_cases(x, doubled):
    assert f(x) == doubled
CASES = [(3, 6)]
@pytest.mark.parametrize(("x", "doubled"), CASES)
def test_others(x, doubled):
    assert f(x) == doubled
class TestNumbers:
    @staticmethod
    def test_static():
        assert f(0) == 0
    @pytest.mark.parametrize("x", [1, 2])
    def test_both(self, numbers, x):
        assert f(x) == x * 2 and x in numbers
"""
PREPARED = (
    "x = 1\nassert f(x) == 2\nx = 2\nassert f(x) == 4\nstack = [1]\nassert stack.pop() == 1\nassert stack == []\n"
)
SESSION = ">>> stack = [f(1)]\n>>> len(stack)\n1\n>>> stack.pop()\n2\n>>> stack\n[]\n>>> f(2)\n4\n>>> f(3)\n6\n"
CHECKED = "def check(candidate):\n    x = []\n    x.append(candidate(1))\n    assert x.pop() == 2\n    assert x == []\n"


@pytest.mark.parametrize(
    ("style", "content"),
    [
        ("unittest", SHARED), ("pytest", SHARED), ("pytest", FIXTURES), ("assert", PREPARED), ("doctest", SESSION),
        ("check", CHECKED),
    ],
    ids=["unittest", "pytest with TestCase", "pytest", "assert", "doctest", "check"],
)  # fmt: skip
def test_honest_tests_pass_in_every_order(validator: Validator, style: str, content: str) -> None:
    found = validator.run_again(task(content, style), RIGHT)
    assert (found.repeats, found.repeats_passed) == (REPEATS, REPEATS), found.cause


def test_only_independent_tests_change_places() -> None:
    from iterpref.synthesis.reordering import shuffle_tests

    good = "assert f(5) == 1\nassert f(1) == 1\nassert f(0) == 0\nassert f(-1) == -1\nassert f(-5) == -1\n"
    rows = task('{"args": "(1,)", "expected": "1"}\n{"args": "(2,)", "expected": "2"}\n', "calls")
    assert any(shuffle_tests(rows, seed).tests != rows.tests for seed in range(5))
    set_up = task("x = 1\nassert f(x) == 1\n", "assert")
    assert all(shuffle_tests(set_up, seed) == set_up for seed in range(5))
    mixed = shuffle_tests(task(good, "assert"), 3).tests[0].content
    assert sorted(mixed.splitlines()) == sorted(good.splitlines())
    assert shuffle_tests(task(good, "assert"), 3) == shuffle_tests(task(good, "assert"), 3)
    broken = task("def test_(:\n", "pytest")
    assert shuffle_tests(task("assert (\n", "assert"), 1) == task("assert (\n", "assert")
    assert shuffle_tests(broken, 1).tests[0].content.startswith("def test_(:\n")
