"""Coroutines, and asserts in functions that the tests call: what is judged outside, and what stays inside."""

import pytest
from jobs import job

from iterpref.sandbox import Sandbox

ASYNC = {
    "asyncio.run": "import asyncio\nassert asyncio.run(f(1)) == 2",
    "another name": "import asyncio as aio\nassert aio.run(f(1)) == 2",
    "imported run": "from asyncio import run\nassert run(f(1)) == 2",
    "a name": "import asyncio\nresult = asyncio.run(f(1))\nassert result == 2",
    "inside": "import asyncio\nassert abs(asyncio.run(f(1)) - 2) < 1e-6 and str(asyncio.run(f(2))) == '3'",
    "check": "import asyncio\ndef check(candidate):\n    assert asyncio.run(candidate(1)) == 2\ncheck(f)",
    "check imports": "def check(candidate):\n    import asyncio\n    assert asyncio.run(candidate(1)) == 2",
    "check in a loop": "import asyncio\ndef check(candidate):\n    for x in range(3):\n"
    "        assert asyncio.run(candidate(x)) == x + 1",
    "must raise": "import asyncio\nassert asyncio.run(f(1)) == 2\ntry:\n    asyncio.run(f(None))\n    assert False\n"
    "except TypeError:\n    pass",
    "pytest.raises": "import asyncio, pytest\nassert asyncio.run(f(1)) == 2\nwith pytest.raises(TypeError):\n"
    "    asyncio.run(f(None))",
}


@pytest.mark.parametrize("name", ASYNC)
def test_coroutines_are_judged_outside(cage: Sandbox, name: str) -> None:
    style = "check" if "check" in name else "assert"
    program = "import asyncio\n{}def f(x):\n    {}\n    return x + {}"
    sleep = "await asyncio.sleep(0)"
    verdicts = {}
    for kind, text in (
        ("right", program.format("async ", sleep, 1)),
        ("wrong", program.format("async ", sleep, 2)),
        ("plain", program.format("", "pass", 1)),
    ):
        execution = cage.run(job(text, ASYNC[name], style, entry_point="f"))
        assert execution.trust == "oracle", execution.error
        verdicts[kind] = (execution.verdict, execution.error_type)
    assert verdicts["right"] == ("passed", "")
    assert verdicts["wrong"] == ("failed", "AssertionError")
    assert verdicts["plain"][0] == "error", "asyncio.run takes coroutines only"


LEETCODE = "class Solution:\n    async def double(self, x):\n        return x + x"


@pytest.mark.parametrize(
    ("tests", "style"),
    [
        ("import asyncio\nassert asyncio.run(Solution().double(2)) == 4", "assert"),
        ("import asyncio\ns = Solution()\nassert asyncio.run(s.double(2)) == 4", "assert"),
        ("import asyncio\ndef check(candidate):\n    assert asyncio.run(candidate(2)) == 4", "check"),
        ('{"args": "(2,)", "expected": "4"}', "calls"),
    ],
)
def test_methods_that_are_coroutines(cage: Sandbox, tests: str, style: str) -> None:
    entry_point = None if style == "assert" else "double"
    right = cage.run(job(LEETCODE, tests, style, entry_point=entry_point))
    assert (right.verdict, right.trust) == ("passed", "oracle"), right.error
    wrong = cage.run(job(LEETCODE.replace("x + x", "x * 3"), tests, style, entry_point=entry_point))
    assert (wrong.verdict, wrong.trust) == ("failed", "oracle")


NOT_LIFTED_ASYNC = {
    "awaits": "async def check(candidate):\n    assert await candidate(1) == 2",
    "awaits and runs": "import asyncio\nasync def check(candidate):\n    assert await candidate(1) == 2\n"
    "asyncio.run(check(f))",
    "one loop": "import asyncio\ndef check(candidate):\n    loop = asyncio.new_event_loop()\n"
    "    assert loop.run_until_complete(candidate(1)) == 2\n    loop.close()",
    "gather": "import asyncio\ndef check(candidate):\n    async def both():\n"
    "        return await asyncio.gather(candidate(1), candidate(2))\n    assert asyncio.run(both()) == [2, 3]",
}


@pytest.mark.parametrize("name", NOT_LIFTED_ASYNC)
def test_coroutines_that_share_a_loop_stay_inside(cage: Sandbox, name: str) -> None:
    program = "import asyncio\nasync def f(x):\n    await asyncio.sleep(0)\n    return x + {}"
    right = cage.run(job(program.format(1), NOT_LIFTED_ASYNC[name], "check", entry_point="f"))
    assert (right.verdict, right.trust) == ("passed", "checked"), right.error
    wrong = cage.run(job(program.format(2), NOT_LIFTED_ASYNC[name], "check", entry_point="f"))
    assert (wrong.verdict, wrong.trust) == ("failed", "in_process")


def test_a_name_bound_anew_is_not_followed_further(cage: Sandbox) -> None:
    tests = "def twice(x):\n    return 2 * x\ny = 3\ny = twice(y)\nassert f(5) == y"
    execution = cage.run(job("def f(x):\n    return x + 1", tests))
    assert (execution.verdict, execution.trust) == ("passed", "checked"), execution.error


CALLED = {
    "a function": "def test_f():\n    assert f(1) == 2\n    assert f(2) == 3\ntest_f()\n",
    "several": "def test_a():\n    assert f(1) == 2\ndef test_b():\n    assert f(2) == 3\ntest_a()\ntest_b()\n",
    "arguments": "def check_one(x, y):\n    assert f(x) == y\ncheck_one(1, 2)\nprint('done')\n",
    "a coroutine": "import asyncio\nasync def main():\n    assert f(1) == 2\nasyncio.run(main())\n",
}


@pytest.mark.parametrize("name", CALLED)
def test_asserts_in_functions_that_the_file_calls(cage: Sandbox, name: str) -> None:
    lifted = name in ("a function", "several")
    right = cage.run(job("def f(x):\n    return x + 1", CALLED[name]))
    assert (right.verdict, right.trust) == ("passed", "oracle" if lifted else "checked"), right.error
    assert {test.verdict for test in right.tests} == {"passed"}
    wrong = cage.run(job("def f(x):\n    return x", CALLED[name]))
    assert (wrong.verdict, wrong.failing_case and wrong.failing_case.got) == ("failed", "1")
    liar = "class Same(int):\n    def __eq__(self, other): return True\ndef f(x):\n    return Same(x)"
    assert cage.run(job(liar, CALLED[name])).verdict == ("failed" if lifted else "unverified")


FUNCTIONS = {
    "called twice": ("def t():\n    y = [2]\n    assert f(1) == y[0]\nt()\nt()", True),
    "calls another": ("def a():\n    assert f(1) == 2\ndef b():\n    a()\n    assert f(2) == 3\nb()", True),
    "names as they are at the call": ("y = 9\ndef t():\n    assert f(1) == y\ny = 2\nt()", True),
    "a local name": ("y = 3\ndef t():\n    y = 2\n    assert f(1) == y\nt()\nassert f(2) == y", False),
    "an argument of the program's": ("y = [1]\ndef t():\n    assert f(*y) == 2\nt()\nassert f(y[0]) == 2", False),
    "a list the program may change": ("y = 1,\ndef t():\n    assert f(1, y) == 2\nt()\nassert f(1, y) == 2", True),
    "returns": ("def t():\n    assert f(1) == 2\n    return 1\nt()", False),
    "bound anew": ("def t():\n    assert f(1) == 9\ndef t():\n    assert f(1) == 2\nt()", True),
    "an alias": ("def t():\n    assert f(1) == 2\nu = t\nu()\nassert f(1) == 2", False),
    "decorated": ("def twice(g):\n    return g\n@twice\ndef t():\n    assert f(1) == 2\nt()", False),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_stands_in_a_function_of_the_tests(cage: Sandbox, name: str) -> None:
    tests, lifted = FUNCTIONS[name]
    right = cage.run(job("def f(x, y=0):\n    return x + 1", tests))
    assert (right.verdict, right.trust) == ("passed", "oracle" if lifted else "checked"), right.error
    wrong = cage.run(job("def f(x, y=0):\n    return x", tests))
    assert (wrong.verdict, wrong.trust) == ("failed", "oracle" if lifted else "in_process")


def test_functions_that_the_file_never_calls_are_no_tests(cage: Sandbox) -> None:
    tests = "def test_f():\n    assert f(1) == 2\n"
    assert cage.run(job("def f(x):\n    return x + 1", tests)).verdict == "unverified"


RUN_BY = {
    "a helper's helper": "def one(x, y):\n    assert f(x) == y\ndef run():\n    one(1, 2)\nrun()",
    "a loop": "def one(x):\n    assert f(x) == x + 1\nfor x in (1, 2):\n    one(x)",
    "the main block": "def test_f():\n    assert f(1) == 2\nif __name__ == '__main__':\n    test_f()",
    "an assignment": "def run():\n    assert f(1) == 2\n    return True\nok = run()",
    "recursion": "def run(n):\n    assert f(n) == n + 1\n    if n: run(n - 1)\nrun(3)",
}


@pytest.mark.parametrize("name", RUN_BY)
def test_functions_that_assert_count_however_they_are_run(cage: Sandbox, name: str) -> None:
    right = cage.run(job("def f(x):\n    return x + 1", RUN_BY[name]))
    assert (right.verdict, right.trust) == ("passed", "checked"), right.error
    assert cage.run(job("def f(x):\n    return x", RUN_BY[name])).verdict == "failed"


HANDLED = {
    "in the handler": "try:\n    f(-1)\n    assert False\nexcept ValueError as e:\n    assert str(e) == 'no: -1'",
    "in else": "try:\n    y = f(1)\nexcept ValueError:\n    assert False\nelse:\n    assert y == 2 and [y]",
    "in finally": "y = []\ntry:\n    y.append(f(1))\nexcept ValueError:\n    pass\nfinally:\n    assert y == [2]",
}


@pytest.mark.parametrize("name", HANDLED)
def test_asserts_beside_the_body_of_a_try_are_turned(cage: Sandbox, name: str) -> None:
    """What fails in the body may be expected to fail; nothing else is."""
    program = "def f(x):\n    if x < 0:\n        raise ValueError(f'no: {x}')\n    return x + 1\n"
    right = cage.run(job(program, HANDLED[name]))
    assert (right.verdict, right.trust) == ("passed", "checked"), right.error
    wrong = program.replace("no: {x}", "{x}").replace("x + 1", "x")
    assert cage.run(job(wrong, HANDLED[name])).verdict == "failed"


UNREACHED = {
    "a branch": "import sys\nif sys.platform == 'none':\n    assert f(1) == 3\nassert f(1) == 2 and [f]",
    "a handler": "try:\n    y = f(1)\nexcept ValueError:\n    assert f(0) == 0\nassert y == 2 and [f]",
    "an else": "def check(candidate):\n    try:\n        candidate(None)\n"
    "    except TypeError:\n        pass\n    else:\n        assert candidate(0) == 5\n"
    "    assert candidate(1) == 2 and [candidate]",
}


@pytest.mark.parametrize("name", UNREACHED)
def test_an_assert_that_is_honestly_not_reached_is_no_trick(cage: Sandbox, name: str) -> None:
    style = "check" if "check" in UNREACHED[name] else "assert"
    right = cage.run(job("def f(x):\n    return x + 1", UNREACHED[name], style, entry_point="f"))
    assert right.passed, right.error


METHODS = {
    "assert sorted(f('ba').items()) == [('a', 1), ('b', 1)]": "dict.fromkeys(x, 1)",
    "assert f(1).count(1) == 2": "[1, 1]",
    "assert f(1).hex() == '0x1.0000000000000p+0'": "1.0",
    "assert f('a').get('b') is None": "{x: 1}",
    "assert {**f(1)} == {1: 2}": "{x: 2}",
}


@pytest.mark.parametrize("tests", METHODS)
def test_methods_of_results_are_called_where_they_are(cage: Sandbox, tests: str) -> None:
    right = cage.run(job(f"def f(x):\n    return {METHODS[tests]}", tests))
    assert (right.verdict, right.trust) == ("passed", "checked"), right.error
