"""Forms of programs and tests: LeetCode classes, scripts, several files, coroutines, calls that must raise."""

import pytest
from jobs import job

from iterpref.records import TestFile
from iterpref.sandbox import Sandbox

SOLUTION = """
class Solution:
    def __init__(self):
        self.seen = 0
    def twoSum(self, nums, target):
        self.seen += 1
        for i, a in enumerate(nums):
            for j in range(i + 1, len(nums)):
                if a + nums[j] == target:
                    return [i, j]
        raise LookupError(self.seen)
"""
TABLE = '{"args": "([2, 7], 9)", "expected": "[0, 1]"}\n{"args": "([3, 3], 6)", "expected": "[0, 1]"}\n'
UNIT = "import unittest\nfrom solution import Solution\nclass T(unittest.TestCase):\n  def test_a(self):\n"
UNIT += "    self.assertEqual(Solution().twoSum([2, 7], 9), [0, 1])\n"


@pytest.mark.parametrize(
    ("tests", "style", "entry_point", "trust"),
    [
        pytest.param(TABLE, "calls", "twoSum", "oracle", id="calls, by the method's name"),
        pytest.param(TABLE, "calls", "Solution().twoSum", "oracle", id="calls, with the class"),
        pytest.param("assert Solution().twoSum([2, 7], 9) == [0, 1]", "assert", None, "oracle", id="assert"),
        pytest.param("s = Solution()\nassert s.twoSum([2, 7], 9) == [0, 1]", "assert", None, "oracle", id="a name"),
        pytest.param(
            "def check(candidate):\n  assert candidate([2, 7], 9) == [0, 1]", "check", "twoSum", "oracle", id="check"
        ),
        pytest.param(
            "def check(candidate):\n  assert [i for i in candidate([2, 7], 9)] == [0, 1]", "check", "twoSum", "checked",
            id="check in process",
        ),
        pytest.param(UNIT, "unittest", None, "checked", id="unittest"),
    ],
)  # fmt: skip
def test_leetcode_classes(cage: Sandbox, tests: str, style: str, entry_point: str | None, trust: str) -> None:
    right = cage.run(job(SOLUTION, tests, style, entry_point=entry_point))
    assert (right.verdict, right.trust) == ("passed", trust), right.error
    wrong = cage.run(job(SOLUTION.replace("[i, j]", "[j, i]"), tests, style, entry_point=entry_point))
    assert wrong.verdict == "failed"


def test_each_call_gets_a_new_instance(cage: Sandbox) -> None:
    tests = "\n".join(["try:\n    Solution().twoSum([], 1)\n    assert False\nexcept LookupError:\n    pass"] * 2)
    assert cage.run(job(SOLUTION, tests)).passed
    table = '{"args": "([], 1)", "expected": "0"}\n' * 2
    execution = cage.run(job(SOLUTION, table, "calls", entry_point="twoSum"))
    assert [test.detail.split("\n")[0] for test in execution.tests] == ["LookupError: 1"] * 2


def test_the_main_block_runs_as_a_script_only(cage: Sandbox) -> None:
    program = "def f(x):\n    return x + 1\nif __name__ == '__main__':\n    print(f(int(input())))\n    exit(0)\n"
    assert cage.run(job(program, "assert f(1) == 2")).passed
    assert cage.run(job(program, '{"stdin": "4\\n", "stdout": "5\\n"}', "stdio")).passed


@pytest.mark.parametrize("style", ["assert", "unittest", "stdio"])
def test_several_files(cage: Sandbox, style: str) -> None:
    tests = {
        "assert": "assert f(1) == 2",
        "unittest": "import unittest, solution\nclass T(unittest.TestCase):\n  def test_a(self):\n"
        "    self.assertEqual(solution.f(1), 2)",
        "stdio": '{"stdin": "", "stdout": "2"}',
    }
    files = (
        TestFile(path="lib/__init__.py", content=""),
        TestFile(path="lib/steps.py", content="import json\nSTEP = json.load(open('data/step.json'))\n"),
        TestFile(path="data/step.json", content="1"),
    )
    program = (
        "from lib.steps import STEP\ndef f(x):\n    return x + STEP\nif __name__ == '__main__':\n    print(f(1))\n"
    )
    made = job(program, tests[style], style, files=files)
    assert cage.run(made).passed
    assert made.key != made.model_copy(update={"files": ()}).key


@pytest.mark.parametrize("style", ["unittest", "pytest"])
def test_tests_with_their_own_data(cage: Sandbox, style: str) -> None:
    tests = (
        TestFile(
            path="test_it.py",
            content="import json, unittest, solution\nclass TestIt(unittest.TestCase):\n  def test_a(self):\n"
            "    self.assertEqual(solution.f(1), json.load(open('data.json')))\n",
        ),
        TestFile(path="data.json", content="[2]"),
    )
    made = job("def f(x):\n    return [x + 1]", "", style).model_copy(update={"tests": tests})
    assert cage.run(made).passed


@pytest.mark.parametrize(
    "tests", ["assert f(1) == 2", "import asyncio\nassert asyncio.run(f(1)) == 2\nassert asyncio.run(f(2)) > 2"]
)
def test_coroutines_are_awaited(cage: Sandbox, tests: str) -> None:
    program = "import asyncio\nasync def f(x):\n    await asyncio.sleep(0)\n    return x + {}"
    right = cage.run(job(program.format(1), tests))
    assert (right.verdict, right.trust) == ("passed", "oracle")
    assert cage.run(job(program.format(0), tests)).verdict == "failed"


RAISES = {
    "try": "try:\n    f(-1)\n    assert False, 'no error'\nexcept ValueError:\n    pass",
    "try with else": "try:\n    x = f(-1)\nexcept ValueError as e:\n    assert True\nelse:\n    assert False",
    "one of two": "try:\n    f(-1)\n    raise AssertionError('no')\nexcept (KeyError, ValueError):\n    pass",
    "all exceptions": "try:\n    f(-1)\nexcept Exception:\n    pass\nelse:\n    assert False",
    "pytest": "import pytest\nwith pytest.raises(ValueError):\n    f(-1)",
    "in check": "def check(candidate):\n    try:\n        candidate(-1)\n        assert False\n"
    "    except ValueError:\n        pass",
}


@pytest.mark.parametrize("name", RAISES)
def test_calls_that_must_raise_are_judged_outside(cage: Sandbox, name: str) -> None:
    style = "check" if "check" in name else "assert"
    program = "class Own(ValueError): pass\ndef f(x):\n    {}"
    verdicts = {}
    for body in ("raise ValueError(x)", "raise Own(x)", "return x", "raise OSError(x)"):
        execution = cage.run(job(program.format(body), RAISES[name], style, entry_point="f"))
        assert execution.trust == "oracle"
        verdicts[body] = execution.verdict
    other = "passed" if name == "all exceptions" else "error"
    assert list(verdicts.values()) == ["passed", "passed", "failed", other]
    case = cage.run(job(program.format("return x"), RAISES[name], style, entry_point="f")).failing_case
    assert case is not None and (case.call, case.got) == ("f(-1)", "-1") and case.expected.startswith("raises")


def test_a_handler_that_catches_its_own_assert_is_not_lifted(cage: Sandbox) -> None:
    tests = "try:\n    f(-1)\n    assert False\nexcept Exception:\n    pass\nassert f(1) == 1"
    execution = cage.run(job("def f(x):\n    return x", tests))
    assert (execution.verdict, execution.trust) == ("passed", "in_process")


def test_calls_of_one_instance_share_its_state(cage: Sandbox) -> None:
    program = "class Solution:\n    n = 0\n    def next(self):\n        self.n += 1\n        return self.n\n"
    tests = "s = Solution()\nt = Solution()\nassert s.next() == 1\nassert s.next() == 2\nassert t.next() == 1\n"
    tests += "assert Solution().next() == 1\n"
    right = cage.run(job(program, tests))
    assert (right.verdict, right.trust) == ("passed", "oracle"), right.error
    wrong = cage.run(job(program.replace("return self.n", "return 1"), tests))
    assert wrong.error == "Solution().next() returned 1, expected 2"
