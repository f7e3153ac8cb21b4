from collections.abc import Iterator
from functools import partial

import pytest

from iterpref.config import ValidationConfig
from iterpref.records import Task, TestFile
from iterpref.sandbox import Sandbox
from iterpref.synthesis.validate import Validator

SIGN = "def f(x):\n    if x > 0:\n        return 1\n    elif x == 0:\n        return 0\n    return -1\n"


def task(content: str, style: str = "assert", **values: object) -> Task:
    tests = (TestFile(path="test_f.py", content=content),)
    return Task(task_id="t", prompt="sign", tests=tests, style=style, entry_point="f", **values)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def validator() -> Iterator[Validator]:
    made = Validator(ValidationConfig(), lambda hash_seed: Sandbox(workers=1, hash_seed=hash_seed))
    yield made
    made.close()


GOOD = "assert f(5) == 1\nassert f(1) == 1\nassert f(0) == 0\nassert f(-1) == -1\nassert f(-5) == -1\n"


def test_good_tests(validator: Validator) -> None:
    found = validator.validate(task(GOOD), SIGN)
    assert (found.repeats, found.repeats_passed, found.passing_stubs) == (3, 3, ())
    assert (found.line_coverage, found.branch_coverage) == (1.0, 1.0)
    assert found.mutation_score == 1.0
    assert found.mutants >= 8


def test_weak_tests(validator: Validator) -> None:
    found = validator.validate(task("assert f(5) == 1\n"), SIGN)
    assert (found.repeats_passed, found.passing_stubs) == (3, ())
    assert found.line_coverage == pytest.approx(3 / 6)
    assert found.branch_coverage == pytest.approx(1 / 4)
    assert found.mutation_score is not None
    assert found.mutation_score < 0.5
    assert "comparison:4" in found.surviving


@pytest.mark.parametrize(
    ("content", "stubs"),
    [
        pytest.param("assert f\n", {"returns_none", "returns_object", "raises"}, id="only named"),
        pytest.param("assert f(1) == f(1)\n", {"returns_none"}, id="compared with itself"),
        pytest.param(
            "try:\n    assert f(1) == 1\nexcept Exception:\n    pass\n",
            {"empty", "returns_none", "returns_object", "raises"},
            id="swallowed",
        ),
        pytest.param("r = f(1)\nassert r is not None\n", {"returns_object"}, id="always true"),
    ],
)
def test_empty_tests_are_found(validator: Validator, content: str, stubs: set[str]) -> None:
    assert set(validator.validate(task(content), SIGN).passing_stubs) == stubs


def test_a_program_that_depends_on_the_order_of_a_set(validator: Validator) -> None:
    flaky = "def f(x):\n    return ''.join(set('abcdefgh'))\n"
    with Sandbox(workers=1) as sandbox:
        from iterpref.sandbox import Job

        said = sandbox.run(Job.from_task(task("assert f(1) == ''\n"), flaky))
    assert said.failing_case is not None
    found = validator.validate(task(f"assert f(1) == {said.failing_case.got}\n"), flaky)
    assert (found.repeats, found.repeats_passed) == (3, 1)
    again = validator.run_again(task(f"assert f(1) == {said.failing_case.got}\n"), flaky)
    assert (again.failing, again.repeats_passed, again.mutants) == (True, 1, 0)
    assert validator.run_again(task(GOOD), "def f(x):\n    return 1\n").repeats_passed == 0


@pytest.mark.parametrize(
    ("content", "passes"),
    [
        pytest.param(GOOD, True, id="passes them too"),
        pytest.param("assert f(5) == 2", False, id="fails them"),
        pytest.param(None, None, id="there are none"),
    ],
)
def test_stronger_tests(content: str | None, passes: bool | None) -> None:
    own = task("assert f(5) == 1\n").model_copy(update={"task_id": "HumanEval/1~ab12", "prefix": "import math"})
    stronger = {"HumanEval/1": task(content)} if content else {}
    made = Validator(ValidationConfig(repeats=1, mutants=0), lambda _: Sandbox(workers=1), stronger=stronger)
    assert made.validate(own, SIGN).stronger is passes
    made.close()


@pytest.mark.parametrize(
    ("style", "content"),
    [
        ("calls", '{"args": "(5,)", "expected": "1"}\n{"args": "(0,)", "expected": "0"}\n'),
        ("check", "def check(candidate):\n    assert candidate(5) == 1\n    assert candidate(0) == 0\n"),
        (
            "unittest",
            "import unittest\nfrom solution import f\nclass T(unittest.TestCase):\n    def test_a(self):\n"
            "        self.assertEqual(f(5), 1)\n    def test_b(self):\n        self.assertEqual(f(0), 0)\n",
        ),
        (
            "pytest",
            "from solution import f\ndef test_a():\n    assert f(5) == 1\ndef test_b():\n    assert f(0) == 0\n",
        ),
        ("doctest", ">>> f(5)\n1\n>>> f(0)\n0\n"),
    ],
)
def test_coverage_of_every_style(validator: Validator, style: str, content: str) -> None:
    found = validator.validate(task(content, style), SIGN)
    assert found.repeats_passed == 3
    assert found.line_coverage == pytest.approx(5 / 6)
    assert found.branch_coverage == pytest.approx(3 / 4)


def test_many_at_a_time(validator: Validator) -> None:
    subjects = [(task(GOOD).model_copy(update={"task_id": f"t{i}"}), SIGN) for i in range(5)]
    assert [q.task_id for q in validator.measure(validator.validate, iter(subjects))] == [f"t{i}" for i in range(5)]


def test_the_number_of_mutants_is_bounded() -> None:
    settings = ValidationConfig(repeats=1, mutants=2)
    made = Validator(settings, partial(lambda seed: Sandbox(workers=1, hash_seed=seed)))
    found = made.validate(task(GOOD), SIGN)
    made.close()
    assert (found.repeats, found.mutants) == (1, 2)
