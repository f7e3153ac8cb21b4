"""Every style and every verdict, on every rung."""

import json

import pytest
from jobs import job, returns

from iterpref.records import FailingCase, Limits
from iterpref.sandbox import Job, Sandbox

ADD = "def f(x):\n    return x + 1\n"
CHECK = "def check(candidate):\n    assert candidate(1) == {0}\n"
UNITTEST = """
    import unittest
    from solution import f

    class T(unittest.TestCase):
        def test_one(self):
            self.assertEqual(f(1), {0})

        def test_two(self):
            for x in (1, 2):
                with self.subTest(x):
                    self.assertEqual(f(x), x + 1)
"""
PYTEST = """
    import pytest
    from solution import f

    @pytest.fixture
    def one():
        return 1

    @pytest.mark.parametrize("more", [0, 1])
    def test_one(one, more, tmp_path):
        assert f(one + more) == {0} + more
"""
OPAQUE_ASSERT = "for x in map(int, '1'):\n    assert f(x) == {0}\n"
STYLES = {  # what each accepts is written {0}
    "assert": ("assert f(1) == {0}", "assert", "oracle"),
    "check": (CHECK, "check", "oracle"),
    "calls": ('{{"args": "(1,)", "expected": "{0}"}}', "calls", "oracle"),
    "assert in process": (OPAQUE_ASSERT, "assert", "checked"),
    "check in process": ("import random\n" + CHECK + "    assert random.random() < 2", "check", "checked"),
    "unittest": (UNITTEST, "unittest", "checked"),
    "pytest": (PYTEST, "pytest", "checked"),
    "doctest": (">>> f(1)\n{0}\n", "doctest", "checked"),
}
ENDS = {
    "raises": ("def f(x):\n    return [][x]", "error", "IndexError"),
    "does not parse": ("def f(x) return x", "error", "SyntaxError"),
    "is missing": ("def g(x):\n    return x", "error", "NameError"),
    "uses all memory": ("def f(x):\n    return [0] * 10**9", "out_of_memory", "MemoryError"),
    "uses it bit by bit": (
        "keep = []\ndef f(x):\n    while True: keep.append(str(len(keep)))",
        "out_of_memory",
        "MemoryError",
    ),
    "calls sys.exit": ("import sys\ndef f(x):\n    sys.exit(0)", "exited_early", "SystemExit"),
    "calls sys.exit on import": ("import sys\nsys.exit(0)", "exited_early", "SystemExit"),
    "calls os._exit": ("import os\ndef f(x):\n    os._exit(0)", "exited_early", ""),
    "calls os._exit on import": ("import os\nos._exit(0)", "exited_early", ""),
    "crashes": ("import ctypes\ndef f(x):\n    ctypes.string_at(0)", "crashed", "SIGSEGV"),
}


@pytest.mark.parametrize("style", STYLES)
def test_passed_and_failed(sandbox: Sandbox, style: str) -> None:
    tests, kind, trust = STYLES[style]
    right = sandbox.run(job(ADD, tests.format(2), kind, entry_point="f"))
    assert (right.verdict, right.trust, right.isolation) == ("passed", trust, sandbox.isolation)
    assert right.tests and {test.verdict for test in right.tests} == {"passed"}
    wrong = sandbox.run(job(ADD, tests.format(3), kind, entry_point="f"))
    assert (wrong.verdict, wrong.error_type) == ("failed", "AssertionError")
    assert "failed" in {test.verdict for test in wrong.tests}


@pytest.mark.parametrize("style", ["assert", "check", "calls", "check in process"])
def test_the_failing_case_is_told(sandbox: Sandbox, style: str) -> None:
    tests, kind, _ = STYLES[style]
    wrong = sandbox.run(job(ADD, tests.format(3), kind, entry_point="f"))
    case = wrong.failing_case
    assert case is not None
    assert case.call in ("f(1)", "candidate(1)")
    assert (case.got, case.expected) == ("2", "3")
    assert f"{case.call} returned 2, expected 3" in wrong.error


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("end", ENDS)
def test_other_ends(cage: Sandbox, style: str, end: str) -> None:
    program, verdict, error_type = ENDS[end]
    tests, kind, trust = STYLES[style]
    if style in ("unittest", "pytest") and end == "is missing":
        error_type = "ImportError"
    limits = Limits(memory_bytes=64 << 20)
    execution = cage.run(job(program, tests.format(2), kind, entry_point="f", limits=limits))
    trust = "in_process" if trust == "checked" else trust  # only a pass is checked
    assert (execution.verdict, execution.error_type, execution.trust) == (verdict, error_type, trust)


@pytest.mark.parametrize(
    ("program", "limits", "verdict", "limit"),
    [
        pytest.param("while True: pass", Limits(cpu_s=0.5), "timeout", "cpu_s", id="cpu"),
        pytest.param("import time\ntime.sleep(60)", Limits(wall_s=0.5), "timeout", "wall_s", id="wall"),
        pytest.param("while True: print('x' * 999)", Limits(), "output_limit", "output_bytes", id="output"),
        pytest.param("def f(x): return 'x' * (20 << 20)", Limits(), "output_limit", "result_bytes", id="result"),
    ],
)
def test_limits(sandbox: Sandbox, program: str, limits: Limits, verdict: str, limit: str) -> None:
    execution = sandbox.run(job(program, "assert f(1) == 2", limits=limits))
    assert (execution.verdict, execution.error_type) == (verdict, limit)
    assert limit in execution.error


def test_cpu_time_is_summed_over_processes(cage: Sandbox) -> None:
    burn = "import os, time\nfor _ in range(3):\n    if os.fork() == 0:\n        while True: pass\ntime.sleep(60)"
    execution = cage.run(job(burn, "assert f(1) == 2", limits=Limits(cpu_s=1.0, wall_s=60.0)))
    assert (execution.verdict, execution.error_type) == ("timeout", "cpu_s")
    assert execution.wall_s < 50


def test_memory_is_summed_over_processes(cage: Sandbox) -> None:
    grow = "import os, time\nfor _ in range(4):\n    os.fork()\nkeep = b'x' * (40 << 20)\ntime.sleep(30)"
    execution = cage.run(job(grow, "assert f(1) == 2", limits=Limits(memory_bytes=256 << 20)))
    assert (execution.verdict, execution.error_type) == ("out_of_memory", "memory_bytes")


def test_calls_before_and_after_a_failure_are_judged(sandbox: Sandbox) -> None:
    program = "def f(x):\n    if x == 3: raise KeyError('no')\n    return x"
    execution = sandbox.run(job(program, "assert f(1) == 1\nassert f(2) == 9\nassert f(3) == 3\nassert f(4) == 4"))
    assert [test.verdict for test in execution.tests] == ["passed", "failed", "error", "passed"]
    assert execution.verdict == "failed"
    assert execution.failing_case == FailingCase(call="f(2)", got="2", expected="9")


def test_nothing_runs_after_a_timeout(cage: Sandbox) -> None:
    program = "def f(x):\n    while x == 2: pass\n    return x"
    tests = "assert f(1) == 1\nassert f(2) == 2\nassert f(3) == 3"
    execution = cage.run(job(program, tests, limits=Limits(cpu_s=0.5)))
    assert [test.verdict for test in execution.tests] == ["passed", "not_run", "not_run"]
    assert execution.verdict == "timeout"
    assert execution.failing_case == FailingCase(call="f(2)", got="", expected="2")


def test_error_text_has_the_users_frames_only(sandbox: Sandbox) -> None:
    program = "import json\n\ndef g(text):\n    return json.loads(text)\n\ndef f(x):\n    return g(x)\n"
    execution = sandbox.run(job(program, "assert f('{') == 1", prefix="import math\nimport re\n"))
    assert execution.error.startswith("JSONDecodeError: Expecting property name")
    assert list(execution.frames) == [
        "  line 7, in f: return g(x)",
        "  line 4, in g: return json.loads(text)",
    ]


def test_syntax_error_text(sandbox: Sandbox) -> None:
    execution = sandbox.run(job("def f(x):\n    return (x\n", "assert f(1) == 1"))
    assert execution.text == "SyntaxError: '(' was never closed (line 2)\n  line 2: return (x"
    assert execution.phase == "import"


def test_deep_recursion_and_huge_messages_stay_bounded(sandbox: Sandbox) -> None:
    deep = sandbox.run(job("def f(x):\n    return f(x)\n", "assert f(1) == 1"))
    assert deep.error_type == "RecursionError"
    assert len(deep.frames) < 12
    huge = sandbox.run(job("def f(x):\n    raise ValueError('y' * 10**6)\n", "assert f(1) == 1"))
    assert huge.error_type == "ValueError"
    assert len(huge.text) < 1000


@pytest.mark.parametrize(
    ("program", "stdin", "stdout", "verdict"),
    [
        pytest.param("print(int(input()) ** 2)", "3\n", "9\n", "passed", id="square"),
        pytest.param("print(int(input()) ** 2, end='  ')", "3\n", "9\n", "passed", id="blanks at the end"),
        pytest.param("print(int(input()) ** 2)", "4\n", "9\n", "failed", id="another number"),
        pytest.param("print(9)\nexit(0)", "", "9", "passed", id="exit(0)"),
        pytest.param("import os\nprint(9, flush=True)\nos._exit(0)", "", "9", "passed", id="os._exit(0)"),
        pytest.param("print(9)\nexit(3)", "", "9", "exited_early", id="exit(3)"),
        pytest.param("print(9)\n1 / 0", "", "9", "error", id="raises at the end"),
        pytest.param("import atexit\natexit.register(print, 9)", "", "9", "passed", id="atexit"),
        pytest.param(
            "import threading, time\nthreading.Thread(target=lambda: (time.sleep(0.1), print(9))).start()",
            "", "9", "passed", id="thread that outlives the main one",
        ),
        pytest.param("if __name__ == '__main__':\n    print(9)", "", "9", "passed", id="main block"),
        pytest.param("import sys\nprint(sum(map(int, sys.stdin)))", "1\n2\n" * 50_000, "150000", "passed", id="large"),
        pytest.param("print(open(0).read())", "a\nb", "a\nb", "passed", id="open(0)"),
        pytest.param("print('żółć', input())", "łąka", "żółć łąka", "passed", id="unicode"),
        pytest.param("import sys\nsys.stdout.buffer.write(b'\\xff')", "", "x", "failed", id="not UTF-8"),
        pytest.param("while True: pass", "", "9", "timeout", id="never ends"),
    ],
)  # fmt: skip
def test_stdio(sandbox: Sandbox, program: str, stdin: str, stdout: str, verdict: str) -> None:
    row = json.dumps({"stdin": stdin, "stdout": stdout})
    execution = sandbox.run(job(program, row, "stdio", limits=Limits(cpu_s=1.0)))
    assert (execution.verdict, execution.trust) == (verdict, "oracle")


def test_stdio_cases_are_separate_processes(sandbox: Sandbox) -> None:
    program = "import os\nprint(os.path.exists('mark'))\nopen('mark', 'w').close()"
    rows = '{"stdin": "", "stdout": "False"}\n{"stdin": "", "stdout": "False"}\n{"stdin": "", "stdout": "True"}'
    execution = sandbox.run(job(program, rows, "stdio"))
    assert [test.verdict for test in execution.tests] == ["passed", "passed", "failed"]
    assert execution.failing_case == FailingCase(kind="input", call="", got="False\n", expected="True")


def test_streams_are_kept_with_head_and_tail(sandbox: Sandbox) -> None:
    program = "import sys\nprint('first', 'x' * 20_000, 'last')\nprint('note', file=sys.stderr)\ndef f(x): return x"
    execution = sandbox.run(job(program, "assert f(1) == 1"))
    assert execution.passed
    assert execution.stdout.startswith("first") and execution.stdout.endswith("last\n")
    assert len(execution.stdout) < 10_000
    assert execution.stderr == "note\n"


def test_what_a_run_used_is_measured(sandbox: Sandbox) -> None:
    program = (
        "import time\ndef f(x):\n    end = time.process_time() + 0.3\n    keep = b'x' * (50 << 20)\n    "
        "while time.process_time() < end: pass"
    )
    execution = sandbox.run(job(program, "assert f(1) is None"))
    assert execution.passed
    assert 0.3 <= execution.cpu_s <= 3, "what it burnt, and what a busy machine adds"
    assert execution.wall_s >= 0.29
    assert 50 << 20 < execution.max_rss_bytes < 200 << 20


def test_prefix_and_future_imports(sandbox: Sandbox) -> None:
    program = "from __future__ import annotations\ndef f(x: Undefined) -> int:\n    return math.floor(x)"
    assert sandbox.run(job(program, "assert f(1.5) == 1", prefix="import math")).passed


def test_same_seed_same_random_numbers(sandbox: Sandbox) -> None:
    program = "import random\ndef f():\n    return random.random(), hash('x')"
    seen = {s: [sandbox.run(returns(program, None, seed=s)).failing_case for _ in range(2)] for s in (1, 2)}
    assert seen[1][0] == seen[1][1]
    assert seen[1][0] != seen[2][0]


def test_run_many_keeps_the_order_and_streams() -> None:
    drawn = []

    def jobs():  # type: ignore[no-untyped-def]
        for number in range(60):
            drawn.append(number)
            yield returns(f"import time\ndef f():\n    time.sleep({0.01 * (number % 3)})\n    return {number}", number)

    with Sandbox(workers=3) as sandbox:
        results = sandbox.run_many(jobs())
        assert next(results).passed
        assert len(drawn) < 60
        assert all(execution.passed for execution in results)


@pytest.mark.parametrize(
    ("change", "same"),
    [({}, True), ({"seed": 1}, False), ({"program": "x"}, False), ({"limits": Limits(cpu_s=1.0)}, False)],
)
def test_key(change: dict[str, object], same: bool) -> None:
    base = job(ADD, "assert f(1) == 2")
    assert (Job.model_validate(base.model_dump() | change).key == base.key) is same


@pytest.mark.parametrize("path", ["/etc/passwd", "../x.py", ""])
def test_paths_must_stay_inside(path: str) -> None:
    with pytest.raises(ValueError, match="relative path"):
        job(ADD, "assert f(1) == 2", program_path=path)
