"""Coverage of a program by its tests, where its lines really run; None with the reason where that can't be seen."""

from collections.abc import Iterator

import pytest

from iterpref.config import ValidationConfig
from iterpref.records import Task, TestFile, TestQuality
from iterpref.sandbox import Sandbox
from iterpref.synthesis.validate import Validator

SIGN = "def f(x):\n    if x > 0:\n        return 1\n    elif x == 0:\n        return 0\n    return -1\n"
SCRIPT = "x = int(input())\nif x > 0:\n    print(1)\nelif x == 0:\n    print(0)\nelse:\n    print(-1)\n"
MAIN = "import sys\ndef main():\n    for line in sys.stdin:\n        print(int(line) * 2)\nif __name__ == '__main__':\n    main()\n"  # noqa: E501
EXITING = "import os\nif input() == '1':\n    print(1, flush=True)\n    os._exit(0)\nprint(2)\nraise SystemExit\n"
ATEXIT = "import atexit\ndef last():\n    print(2)\natexit.register(last)\nprint(1)\n"
FIXTURE = """
import pytest
from solution import f
@pytest.fixture
def five():
    return 5
@pytest.fixture
def of_nothing():
    return f(0)
def test_positive(five):
    assert f(five) == 1
class TestOthers:
    def test_nothing(self, of_nothing):
        assert of_nothing == 0
    def test_negative(self):
        assert f(-1) == -1
"""
PARAMETERS = """
import pytest
from solution import f
@pytest.mark.parametrize(("x", "sign"), [(5, 1), (0, 0), (-5, -1)])
def test_sign(x, sign):
    assert f(x) == sign
"""
UNITTEST = """
import unittest
from solution import f
class T(unittest.TestCase):
    def setUp(self):
        self.zero = f(0)
    def test_a(self):
        for x, sign in ((5, 1), (-5, -1)):
            with self.subTest(x=x):
                self.assertEqual(f(x), sign)
    def test_b(self):
        self.assertEqual(self.zero, 0)
"""


@pytest.fixture(scope="module")
def validator() -> Iterator[Validator]:
    settings = ValidationConfig(repeats=1, mutants=0)
    made = Validator(settings, lambda hash_seed: Sandbox(workers=1, hash_seed=hash_seed))
    yield made
    made.close()


def measured(validator: Validator, program: str, content: str, style: str, **values: object) -> TestQuality:
    tests = (TestFile(path="test_f.py", content=content),)
    fields = {"task_id": "t", "prompt": "p", "tests": tests, "style": style, "entry_point": "f", **values}
    found = validator.validate(Task.model_validate(fields), program)
    assert found.repeats_passed == 1, found
    return found


@pytest.mark.parametrize(
    ("style", "program", "content"),
    [
        pytest.param("stdio", SCRIPT, '{"stdin": "7", "stdout": "1"}\n{"stdin": "0", "stdout": "0"}\n'
                     '{"stdin": "-3", "stdout": "-1"}\n', id="stdio"),
        pytest.param("stdio", MAIN, '{"stdin": "1\\n2", "stdout": "2\\n4"}\n', id="stdio with a main function"),
        pytest.param("stdio", EXITING, '{"stdin": "1", "stdout": "1"}\n{"stdin": "2", "stdout": "2"}\n', id="os._exit"),
        pytest.param("stdio", ATEXIT, '{"stdin": "", "stdout": "1\\n2"}\n', id="atexit"),
        pytest.param("calls", SIGN, '{"input": [5], "output": 1}\n{"input": [0], "output": 0}\n'
                     '{"input": [-5], "output": -1}\n', id="call table"),
        pytest.param("calls", SIGN, '{"args": "(5,)", "expected": "1"}\n{"args": "(0,)", "expected": "0"}\n'
                     '{"args": "()", "kwargs": "{\\"x\\": -1}", "expected": "-1"}\n', id="calls"),
        pytest.param("pytest", SIGN, FIXTURE, id="fixtures"),
        pytest.param("pytest", SIGN, PARAMETERS, id="parametrize"),
        pytest.param("unittest", SIGN, UNITTEST, id="unittest"),
        pytest.param("assert", SIGN, "assert f(5) == 1\nassert f(0) == 0\nassert f(-5) == -1\n", id="asserts"),
        pytest.param("assert", SIGN, "for x in {5, 0, -5}:\n    assert f(x) in (-1, 0, 1)\n", id="asserts in process"),
        pytest.param("check", SIGN, "def check(candidate):\n    for x in (5, 0, -5):\n        assert f(x) < 2\n",
                     id="check"),
        pytest.param("doctest", SIGN, ">>> f(5)\n1\n>>> [f(x) for x in (0, -5)]\n[0, -1]\n", id="doctest"),
        pytest.param("calls", "class Solution:\n    def f(self, x):\n        return x * 2\n",
                     '{"input": [3], "output": 6}\n', id="class Solution"),
        pytest.param("assert", "import asyncio\nasync def f(x):\n    await asyncio.sleep(0)\n    return x\n",
                     "import asyncio\nassert asyncio.run(f(3)) == 3\n", id="async"),
        pytest.param("assert", "f = lambda x: x * 2\n", "assert f(3) == 6\n", id="lambda"),
        pytest.param("assert", "from functools import partial\nf = partial(pow, 2)\n", "assert f(3) == 8\n",
                     id="partial"),
        pytest.param("assert", "import threading\ndef g(found):\n    found.append(1)\ndef f():\n    found = []\n"
                     "    thread = threading.Thread(target=g, args=(found,))\n    thread.start()\n    thread.join()\n"
                     "    return found\n", "assert f() == [1]\n", id="threads"),
        pytest.param("assert", "def f(x):\n    return x\n\nif __name__ == '__main__':\n    print(f(1))\n",
                     "assert f(3) == 3\n", id="a block that only a script runs"),
    ],
)  # fmt: skip
def test_defect_2_tests_that_reach_everything_measure_one(
    validator: Validator, style: str, program: str, content: str
) -> None:
    found = measured(validator, program, content, style)
    assert (found.line_coverage, found.branch_coverage) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("style", "program", "content"),
    [
        ("stdio", SCRIPT, '{"stdin": "7", "stdout": "1"}\n{"stdin": "0", "stdout": "0"}\n'),
        ("calls", SIGN, '{"input": [5], "output": 1}\n{"input": [0], "output": 0}\n'),
        ("pytest", SIGN, PARAMETERS.replace(", (-5, -1)", "")),
    ],
    ids=["stdio", "call table", "parametrize"],
)
def test_defect_2_what_tests_leave_out_is_missing(validator: Validator, style: str, program: str, content: str) -> None:
    found = measured(validator, program, content, style)
    lines = len(program.splitlines()) - (style == "stdio")  # `else:` is no statement
    assert found.line_coverage == pytest.approx((lines - 1) / lines)
    assert found.branch_coverage == pytest.approx(3 / 4)


POOL = "import multiprocessing\ndef g(x):\n    y = x * x\n    return y\ndef f():\n    with multiprocessing.Pool(2) as pool:\n        return pool.map(g, [1, 2])\n"  # noqa: E501


@pytest.mark.parametrize(
    ("program", "content", "reason"),
    [
        pytest.param(POOL, "assert f() == [1, 4]", "processes of its own", id="processes"),
        pytest.param("import sys\ndef f():\n    sys.settrace(None)\n    x = 1\n    return x\n", "assert f() == 1",
                     "trace function of its own", id="trace function"),
        pytest.param("import sys\nassert 'coverage' not in sys.modules\ndef f():\n    return 1\n", "assert f() == 1",
                     "did not pass while it was measured (error: AssertionError)", id="another way when measured"),
    ],
)  # fmt: skip
def test_defect_2_what_is_not_seen_is_none_with_the_reason(
    validator: Validator, program: str, content: str, reason: str
) -> None:
    found = measured(validator, program, content, "assert")
    assert found.line_coverage is None
    assert reason in found.unmeasured["line_coverage"]
