"""What is cut from a program, and above all what is not."""

import json
from pathlib import Path

import pytest

from iterpref.records import Style, Task, TestFile
from iterpref.sandbox import Job, Sandbox
from iterpref.task_tests import trim

F = "def f(x):\n    return x + 1"


def task(tests: str = "assert f(1) == 2", style: Style = "assert", entry_point: str | None = "f") -> Task:
    file = TestFile(path="test.py", content=tests)
    return Task(task_id="t", prompt="f", tests=(file,), style=style, entry_point=entry_point)


@pytest.mark.parametrize(
    "usage",
    [
        pytest.param("assert f(1) == 3, 'wrong'", id="assert"),
        pytest.param("# Example usage:\nprint(f(1))  # 2\n# 2", id="print with comments"),
        pytest.param("result = f([1, 2][0])\nprint(result)", id="a result"),
        pytest.param("n = eval(input())\nprint(f(n))", id="reads"),
        pytest.param("for n in (1, 2):\n    print(f(n))", id="loop"),
        pytest.param("def test_f():\n    assert f(1) == 3\ntest_f()", id="own tests"),
        pytest.param(
            "def main():\n    print(f(int(input())))\nif __name__ == '__main__':\n    main()", id="main block"
        ),
        pytest.param("def main():\n    print(f(int(input())))\nmain()", id="main"),
        pytest.param(
            "class T(unittest.TestCase):\n    def test_f(self):\n        self.assertEqual(f(1), 3)\nunittest.main()",
            id="unittest",
        ),
        pytest.param("unused = 3\ndef other():\n    return unused", id="what nobody needs"),
        pytest.param("try:\n    print(f('a'))\nexcept TypeError:\n    pass", id="try"),
        pytest.param("sys.stdout.write(str(f(1)))\nsys.exit(0)", id="system"),
    ],
)
def test_usage_goes(usage: str) -> None:
    head = "import sys\nimport unittest\n\n\n"
    assert trim(task(), f"{head}{F}\n\n\n{usage}\n") == f"{head}{F}"


@pytest.mark.parametrize(
    "program",
    [
        pytest.param(
            "import math, sys\nsys.setrecursionlimit(10**6)\ndef f(x):\n    return math.ceil(x) + 1", id="imports"
        ),
        pytest.param("try:\n    import numpy as np\nexcept ImportError:\n    np = None\n" + F, id="optional import"),
        pytest.param("'''About.'''\nONE = 1\ndef g(x):\n    return x + ONE\ndef f(x):\n    return g(x)", id="helpers"),
        pytest.param(
            "T = [0] * 9\nfor i in range(9):\n    T[i] = i + 1\ndef f(x):\n    return T[x]", id="filled by a loop"
        ),
        pytest.param(
            "T = {}\ndef fill():\n    T[1] = 2\nfill()\ndef f(x):\n    return T[x]", id="filled by a function"
        ),
        pytest.param(
            "T = None\ndef make():\n    global T\n    print(T)\n    T = {1: 2}\nmake()\ndef f(x):\n    return T[x]",
            id="global",
        ),
        pytest.param(
            "R = {}\ndef reg(g):\n    R[1] = g\n    return g\n@reg\ndef one(x):\n    return x + 1\n"
            "def f(x):\n    return R[1](x)",
            id="registered by a decorator",
        ),
        pytest.param(
            "class A:\n    kinds = []\n    def __init_subclass__(cls):\n        A.kinds.append(cls)\n"
            "class B(A):\n    pass\ndef f(x):\n    return x + len(A.kinds)",
            id="registered by a base class",
        ),
        pytest.param("class Solution:\n    def f(self, x):\n        return x + 1\nf = Solution().f", id="a method"),
        pytest.param("import functools\ndef f(x):\n    return x + 1\nf = functools.lru_cache(f)", id="wrapped"),
        pytest.param("def f(x):\n    return f.step + x\nf.step = 1", id="attribute"),
        pytest.param("import decimal\ndecimal.getcontext().prec = 9\ndef f(x):\n    return x + 1", id="settings"),
        pytest.param("globals()['one'] = 1\ndef f(x):\n    return x + one", id="names that can't be followed"),
        pytest.param("def f(x):\n    return x +", id="does not parse"),
        pytest.param("def g(x):\n    return x + 1\nprint(g(1))", id="another function"),
        pytest.param(F + "\n\n\n# the end\n", id="nothing to cut, to the character"),
    ],
)
def test_what_the_function_needs_stays(program: str) -> None:
    assert trim(task(), program) == program


def test_what_the_tests_name_stays() -> None:
    program = (
        "def g(x):\n    return x\ndef f(x):\n    return g(x) + 1\ndef h(x):\n    return x\ndef k(x):\n    return x"
    )
    tests = "import unittest\nimport solution\nfrom solution import f, h as other\nclass T(unittest.TestCase):\n"
    tests += "    def test_it(self):\n        self.assertEqual(f(other(1)), solution.k(2))\n"
    assert trim(task(tests, "unittest", None), program) == program
    assert "def k" not in trim(task(tests.replace("solution.k(2)", "2"), "unittest", None), program)


def test_a_statement_that_shares_its_line_is_cut_as_a_whole_or_not_at_all() -> None:
    assert trim(task(), f"{F}\na = 1; print(f(a))\n") == F
    assert trim(task(), "a = 1; b = 2\ndef f(x):\n    return x + a") == "a = 1; b = 2\ndef f(x):\n    return x + a"


def test_no_verdict_of_recorded_programs_gets_worse(shared_data: Path) -> None:
    """Of every tenth recorded run: what passes as it was written passes when it is cut."""
    lines = (shared_data / "trajectories" / "debug_trajectories_dev.jsonl").read_text().splitlines()[::10]
    cut = []
    for row in map(json.loads, lines):
        file = TestFile(path="test.py", content=row["test"])
        recorded = Task(
            task_id=row["id"],
            prompt=row["prompt"],
            tests=(file,),
            style="check" if "def check(" in row["test"] else "assert",
            entry_point=row["entry_point"],
        )
        programs = [version["code"] for version in row["versions"]]
        cut += [(recorded, code, trim(recorded, code)) for code in programs if trim(recorded, code) != code]
    assert len(cut) > 10
    with Sandbox(workers=1) as sandbox:
        jobs = [Job.from_task(recorded, program) for recorded, *both in cut for program in both]
        passed = [execution.passed for execution in sandbox.run_many(jobs)]
    before, after = passed[::2], passed[1::2]
    assert any(before)
    assert [one for one, other in zip(before, after, strict=True) if one and not other] == []
