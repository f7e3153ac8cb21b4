"""Trivially wrong programs (stubs): what they are, and that a program that is right is none."""

from collections.abc import Iterator

import pytest

from iterpref.config import ValidationConfig
from iterpref.records import Task, TestFile
from iterpref.sandbox import Sandbox
from iterpref.synthesis.validate import Validator

TWICE = "assert f(3) == 6\nassert f(0) == 0\n"


def task(content: str, style: str, entry_point: str | None) -> Task:
    tests = (TestFile(path="test_f.py", content=content),)
    return Task(task_id="t", prompt="p", tests=tests, style=style, entry_point=entry_point)  # type: ignore[arg-type]


def cases(*pairs: tuple[str, str]) -> str:
    return "".join(f'{{"stdin": "{read}", "stdout": "{printed}"}}\n' for read, printed in pairs)


@pytest.fixture(scope="module")
def validator() -> Iterator[Validator]:
    settings = ValidationConfig(repeats=1, mutants=0)
    made = Validator(settings, lambda hash_seed: Sandbox(workers=1, hash_seed=hash_seed))
    yield made
    made.close()


@pytest.mark.parametrize(
    ("program", "content", "style", "entry_point"),
    [
        pytest.param("print(int(input()) * 2)", cases(("3", "6"), ("1", "2")), "stdio", None, id="script"),
        pytest.param("print(int(input()) * 2)", cases(("3", "6")), "stdio", None, id="script with one case"),
        pytest.param("print('hello')", cases(("", "hello")), "stdio", None, id="script that reads nothing"),
        pytest.param(
            "def main():\n    print(int(input()) * 2)\nmain()", cases(("3", "6"), ("1", "2")), "stdio", None, id="main"
        ),
        pytest.param("f = lambda x: x * 2", TWICE, "assert", "f", id="lambda"),
        pytest.param("f = lambda x: x * 2", TWICE, "assert", None, id="lambda without an entry point"),
        pytest.param(
            "from functools import partial\nfrom operator import mul\nf = partial(mul, 2)", TWICE, "assert", "f",
            id="partial",
        ),
        pytest.param("from math import gcd as f", "assert f(4, 6) == 2", "assert", "f", id="imported"),
        pytest.param(
            "try:\n    f = (2).__mul__\nexcept AttributeError:\n    f = None", TWICE, "assert", "f", id="in a block"
        ),
        pytest.param(
            "f = lambda x: x * 2", "import unittest\nimport solution\nclass T(unittest.TestCase):\n"
            "    def test_a(self):\n        self.assertEqual(solution.f(3), 6)\n", "unittest", None, id="unittest",
        ),
        pytest.param("f = lambda x: x * 2", ">>> f(3)\n6\n", "doctest", None, id="doctest"),
        pytest.param(
            "f = lambda x: x * 2", "def check(candidate):\n    assert candidate(3) == 6\n", "check", "f", id="check"
        ),
        pytest.param("f = lambda x: x * 2", '{"input": [3], "output": 6}\n', "calls", "f", id="call table"),
        pytest.param(
            "class Solution:\n    def f(self, x):\n        return x * 2\n", '{"input": [3], "output": 6}\n', "calls",
            "Solution().f", id="class Solution",
        ),
        pytest.param(
            "async def f(x):\n    return x * 2\n", "import asyncio\nassert asyncio.run(f(3)) == 6\n", "assert", "f",
            id="async",
        ),
    ],
)  # fmt: skip
def test_defect_1_no_stub_of_an_honest_program_passes(
    validator: Validator, program: str, content: str, style: str, entry_point: str | None
) -> None:
    found = validator.validate(task(content, style, entry_point), program)
    assert (found.repeats_passed, found.passing_stubs) == (1, ())


@pytest.mark.parametrize(
    ("program", "content", "style", "stubs"),
    [
        pytest.param("f = lambda x: x * 2", "assert f(3) is not None", "assert", {"returns_object"}, id="lambda"),
        pytest.param("f = lambda x: x * 2", "assert callable(f)", "assert",
                     {"returns_none", "returns_object", "raises"}, id="lambda that nobody calls"),
        pytest.param("print(sorted(input())[0])", cases(("a", "a")), "stdio", {"echoes"}, id="what it reads"),
        pytest.param("if input() == '2':\n    print()", cases(("1", ""), ("3", "")), "stdio",
                     {"prints_nothing", "prints_constant"}, id="nothing"),
        pytest.param("print('YES' if int(input()) > 0 else 'NO')", cases(("1", "YES"), ("3", "YES")), "stdio",
                     {"prints_constant"}, id="always the same"),
    ],
)  # fmt: skip
def test_defect_1_tests_that_stubs_pass_are_still_found(
    validator: Validator, program: str, content: str, style: str, stubs: set[str]
) -> None:
    assert set(validator.validate(task(content, style, None), program).passing_stubs) == stubs


def test_stubs_keep_names_and_signatures() -> None:
    from iterpref.synthesis.stubs import stubs

    initialised = "class A:\n    def __init__(self):\n        self.x = 1\n"
    program = f"{initialised}    def g(self):\n        return 2\ndef f(a, b=1):\n    return a"
    made = stubs(task(TWICE, "assert", "f"), program)
    assert made["returns_none"] == (
        "class A:\n\n    def __init__(self):\n        self.x = 1\n\n    def g(self):\n        return None\n\n"
        "def f(a, b=1):\n    return None"
    )
    assert set(made) == {"empty", "returns_none", "returns_object", "raises"}


def test_a_stub_that_is_the_program_is_none() -> None:
    from iterpref.synthesis.stubs import stubs

    empty = 'def f(x):\n    """Nothing."""\n    return None\n'
    assert "returns_none" not in stubs(task("assert f(1) is None", "assert", "f"), empty)
    echo = "import sys\nsys.stdout.write(sys.stdin.read())\n"
    assert "echoes" not in stubs(task(cases(("a", "a")), "stdio", None), echo)
