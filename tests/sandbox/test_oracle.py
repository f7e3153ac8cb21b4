"""What is taken apart, what isn't, and how results are compared. No program runs where none is needed."""

import math
import subprocess
import sys
import textwrap
from collections import Counter, OrderedDict, defaultdict, namedtuple
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from typing import Any

import pytest
from jobs import job, returns

from iterpref.errors import RecordError
from iterpref.sandbox import Job, Sandbox
from iterpref.sandbox.grading.claims import Tampered, read_claims
from iterpref.sandbox.inside.values.codec import (
    CodecError,
    Iterated,
    Opaque,
    decode,
    encode,
    encode_iterated,
    opaque_text,
)
from iterpref.sandbox.inside.worker.wire import RawRun
from iterpref.sandbox.reading.plan import Unliftable
from iterpref.sandbox.reading.plan_tests import plan_tests

LIFTED = [
    ("assert f([3, 1]) == [1, 3]", "[1, 3]", "[3, 1]"),
    ("assert f(-1, y=(2, {'a': {1}})) == None", "None", "0"),
    ("assert f(1) is None", "None", "False"),
    ("assert f(1) is True", "True", "1"),
    ("assert f(1) is not None", "0", "None"),
    ("assert f(1)", "[0]", "[]"),
    ("assert not f(1)", "''", "'x'"),
    ("assert 3 == f(1)", "3", "4"),
    ("assert f(1) != 3, 'message'", "4", "3"),
    ("assert f(1) < 3 <= f(2)", "2 if args == (1,) else 3", "3"),
    ("assert f(1) in ('a', 'b')", "'b'", "'c'"),
    ("assert abs(f(2) - 1.4142) < 1e-3", "2 ** 0.5", "1.4"),
    ("import math\nassert math.isclose(f(2), 1.4142, rel_tol=1e-3)", "2 ** 0.5", "1.4"),
    ("assert round(f(2), 2) == 1.41", "2 ** 0.5", "1.42"),
    ("assert set(f(1)) == {1, 2}", "[1, 2, 1]", "[1]"),
    ("assert sorted(f(1)) == [1, 2]", "iter([2, 1])", "iter([2])"),
    ("assert list(f(1)) == [0, 1]", "(i for i in range(2))", "(i for i in range(3))"),
    ("assert len(f(1)) == 2 and f(1)[0] == 'a'", "'ab'", "'ba'"),
    ("assert tuple(f([1] * 3)) == (1,) * 3", "[1, 1, 1]", "[1]"),
    ("assert f(float('inf')) == -float('inf')", "-float('inf')", "0.0"),
    ("assert f(10 ** 20) == 10 ** 20 + 1", "args[0] + 1", "args[0]"),
    ("assert isinstance(f(1), str)", "'x'", "1"),
    ("assert f('a b').split() == ['a', 'b']", "'a  b'", "'ab'"),
    ("x = [1, 2]\nassert f(x) == 3", "sum(args[0])", "0"),
    ("for x, y in [(1, 2), (3, 4)]:\n    assert f(x) == y", "args[0] + 1", "2"),
    ("for i in range(5):\n    assert f(i) == i * i", "args[0] ** 2", "args[0]"),
    ("for args in [(1, 2), (3, 4)]:\n    assert f(*args) == sum(args)", "sum(args)", "1"),
    ("y = f(2)\nassert y == 4", "4", "5"),
    ("assert f(True) == (True, None, b'x', 2j, frozenset({1}))", "(True, None, b'x', 2j, frozenset({1}))", "()"),
    ("'''Docs.'''\nprint('hello')\nassert f(1) == 1", "1", "2"),
]


@pytest.mark.parametrize(("tests", "right", "wrong"), LIFTED, ids=[row[0] for row in LIFTED])
@pytest.mark.parametrize("style", ["assert", "check"])
def test_lifted(cage: Sandbox, style: str, tests: str, right: str, wrong: str) -> None:
    if style == "check":
        body = "\n    ".join(tests.replace("f(", "candidate(").split("\n")).replace("setcandidate", "setf")
        tests = f"def check(candidate):\n    {body.replace('abcandidate', 'abf')}\n\ncheck(f)\n"
    program = "def f(*args, **kwargs):\n    return {}\n"
    for answer, verdict in ((right, "passed"), (wrong, "failed")):
        execution = cage.run(job(program.format(answer), tests, style, entry_point="f"))
        assert (execution.verdict, execution.trust) == (verdict, "oracle"), execution.error


@pytest.mark.parametrize(
    ("tests", "names"),
    [
        ("assert f(g(1)) == 2", "calls inside calls"),
        ("assert f(1) == g_expected", "unknown name"),
        ("assert f(lambda: 1) == 2", "Lambda"),
        ("assert [f(x) for x in (1, 2)] == [1, 2]", "ListComp"),
        ("import random\nassert f(random.random()) == 1", "random"),
        ("import numpy as np\nassert np.allclose(f(1), 2)", "numpy"),
        ("try:\n    f(1)\n    assert False\nexcept Exception:\n    pass", "Try"),
        ("x = [2, 1]\nf(x)\nassert x == [1, 2]", "a call for its effect"),
        ("x = [2, 1]\nassert f(x) == x", "an argument that the program may change"),
        ("x = [2, 1]\nassert f(x) == 1\nassert f(x) == 1", "the same list passed twice"),
        ("def helper(x):\n    return x\nassert helper(f(1)) == 1", "helper"),
        ("assert f(1) == open('x').read()", "open"),
        ("assert '%s' % f(1) == 'x'", "formatting"),
        ("assert f(1).real == 1", "attribute"),
        ("while True:\n    assert f(1) == 1", "While"),
        ("for x in range(10 ** 9):\n    assert f(x) == 1", "too many"),
        ("assert Stack().push(1) == f(1)", "a class of the program"),
        ("x = 1", "no assert"),
    ],
)  # fmt: skip
def test_not_lifted(tests: str, names: str) -> None:
    with pytest.raises(Unliftable):
        plan_tests(job("", tests))


def test_one_assert_that_does_not_lift_keeps_the_whole_file_in_process(sandbox: Sandbox) -> None:
    tests = "assert f(1) == 1\nassert f(f(2)) == 2\nassert f(3) == 4"
    execution = sandbox.run(job("def f(x): return x", tests))
    assert (execution.verdict, execution.trust) == ("failed", "in_process")
    assert [test.verdict for test in execution.tests] == ["passed", "passed", "failed"]


@pytest.mark.parametrize(
    ("tests", "functions"),
    [
        ("assert f(1) == sum([1])", {"f"}),
        ("assert sum(1, 2) == 3", {"sum"}),
        ("assert Find_Max([1]) == 1", {"Find_Max"}),
        ("assert f(1) == g(1)", {"f", "g"}),
    ],
)
def test_the_tested_functions_are_inferred_from_the_tests(tests: str, functions: set[str]) -> None:
    assert {call.function for call in plan_tests(job("", tests)).calls} == functions


def test_the_program_does_not_decide_what_is_lifted() -> None:
    tests = "assert set(f(1)) == {1}"
    assert plan_tests(job("def set(x): return 1", tests)).calls == plan_tests(job("", tests)).calls


Point = namedtuple("Point", "x y")


class Colour(IntEnum):
    RED = 7


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        *[
            (v, v)
            for v in (None, True, 0, -(2**53), 2**70, 10**5000, 1.5, -0.0, math.inf, "ą\ud800\n", b"\x00\xff", 2j)
        ],
        *[(v, v) for v in ([], [[1], (2, {3: {4}})], {(1, 2): frozenset({3})}, range(1, 9, 2), Decimal("1.10"))],
        (Fraction(1, 3), Fraction(1, 3)),
        (Point(1, 2), (1, 2)),
        (Colour.RED, 7),
        (Counter("aab"), {"a": 2, "b": 1}),
        (OrderedDict([(2, 1), (1, 2)]), {2: 1, 1: 2}),
        (defaultdict(list, {1: [2]}), {1: [2]}),
        (bytearray(b"x"), b"x"),
    ],
    ids=lambda value: repr(type(value).__name__),
)
def test_plain_values_travel(value: Any, plain: Any) -> None:
    import json

    back = decode(json.loads(json.dumps(encode(value))))
    assert back == plain
    assert type(back) is type(plain)


ORDERS = [
    "{12, 13, 14, 15, 16}",
    "set([12, 13, 14, 15, 16])",
    "set((12, 13, 14, 15, 16))",
    "{16, 8}",
    "{8, 16}",
    "{'b', 'a', 'd', 'c'}",
    "set('abcdefgh')",
    "{(1, 2), (3, -4), (5, 6)}",
    "{16, 8, 24, 0}",
    "[{1, 2, 32}, {-1, -2, 7}]",
]


@pytest.mark.parametrize("text", ORDERS)
def test_a_program_gets_sets_in_the_order_in_which_the_test_makes_them(cage: Sandbox, text: str) -> None:
    """MBPP/341: `tuple({12, 13, 14, 15, 16})` starts with 16 since Python 3.9."""
    program = (
        f"made = {text}\ndef f(x):\n    return list(map(list, x)) == list(map(list, made)) if type(x) is list else "
    )
    assert cage.run(job(program + "list(x) == list(made)", f"assert f({text})")).passed


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b", "a"}, "{'a', 'b'}"),
        ([{10, 9}, {3: {"y", "x"}}], "[{9, 10}, {3: {'x', 'y'}}]"),
        ({1, "a"}, "{'a', 1}"),
        (frozenset({2, 1}), "frozenset({1, 2})"),
        (({2, 1},), "({1, 2},)"),
        ({"{"}, "{'{'}"),
        (set(), "set()"),
    ],
)
def test_sets_are_shown_in_order(value: Any, text: str) -> None:
    assert opaque_text(value) == text


def test_nan_travels() -> None:
    assert math.isnan(decode(encode(math.nan)))


def test_a_subclass_is_compared_by_its_content() -> None:
    class Liar(int):
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = int.__hash__

    assert decode(encode(Liar(3))) == 3
    assert decode(encode(Liar(3))) != 4


def test_anything_else_is_opaque_and_equals_nothing() -> None:
    class Loud:
        def __eq__(self, other: object) -> bool:
            return True

        def __repr__(self) -> str:
            raise ValueError

    back = decode(encode(Loud()))
    assert isinstance(back, Opaque)
    assert back != back
    assert repr(back) == "<Loud whose repr raised ValueError>"
    assert isinstance(decode(encode(x for x in "ab")), Opaque)
    opened = decode(encode_iterated(x for x in "ab"))
    assert isinstance(opened, Iterated)
    assert list(opened) == ["a", "b"]
    assert opened != ["a", "b"]


def test_cycles_and_depth_are_bounded() -> None:
    cycle: list[Any] = []
    cycle.append(cycle)
    assert "nested too deeply" in repr(decode(encode(cycle)))


@pytest.mark.parametrize(
    "data",
    [
        {"zz": 1},
        {"S": "{1, 2}"},
        {},
        {"t": 5},
        {"i": "x"},
        {"s": [[1]]},
        {"d": [[1]]},
        {"d": [[[1], 2]]},
        {"F": [1, 0]},
        {"l": 1, "t": []},
    ],
    ids=str,
)
def test_forged_values_are_refused(data: Any) -> None:
    with pytest.raises(CodecError):
        decode(data)


def test_colliding_hashes_are_refused() -> None:
    step = 2**61 - 1  # hash(n * step) == 0 for every n
    with pytest.raises(CodecError, match="colliding"):
        decode({"s": [{"i": hex(n * step)} for n in range(2000)]})


def raw(channel: bytes, status: int = 0) -> RawRun:
    return RawRun(status, "", 0.0, 0.0, 0, "", channel, b"", b"")


@pytest.mark.parametrize(
    "lines",
    [
        b"hello\n",
        b'n["import", null]\nn["call", 0, 1]\nn["call", 0, 1]\n',
        b'n["call", 0, 1]\n',
        b'n["import", null]\nn["import", null]\n',
        b'n["import", null]\nn["end"]\nn["call", 0, 1]\n',
        b'n["import", null]\nn["call", true, 1]\n',
        b'n["import", null]\nn["call", 0, {"zz": 1}]\n',
        b'n["import", null]\nn["test", "a", "great", null, null]\n',
        b'n["verdict", "passed"]\n',
        b"n" + b"[" * 100_000 + b"\n",
        b'n["import", null]\nn["end"',
        b"n{}\n",
        b"n[]\n",
    ],
)
def test_lines_no_harness_writes_are_tampering(lines: bytes) -> None:
    with pytest.raises(Tampered):
        read_claims(raw(lines), "n")


def test_half_a_line_of_a_killed_process_is_not_tampering() -> None:
    claims = read_claims(raw(b'n["import", null]\nn["call", 0, 1]\nn["ca', status=-9), "n")
    assert claims.results == {0: 1}
    assert not claims.ended


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: not JSON"),
        ("[1]", "line 2: got list, expected an object"),
        ('{"args": "(1,)"}', "line 2: KeyError"),
        ('{"args": "g(1)", "expected": "1"}', "line 2: Unsupported"),
        ('{"args": "(1", "expected": "1"}', "line 2: SyntaxError"),
    ],
)
def test_unreadable_call_tables(line: str, message: str) -> None:
    table = '{"args": "(1,)", "expected": "1"}\n' + line
    with pytest.raises(RecordError, match=message):
        plan_tests(job("", table, "calls", entry_point="f"))


def test_call_table_with_keywords_and_special_floats(sandbox: Sandbox) -> None:
    table = '{"args": "(1,)", "kwargs": "{\'y\': inf}", "expected": "[1, inf]"}'
    assert sandbox.run(job("def f(x, y): return [x, y]", table, "calls", entry_point="f")).passed


def test_test_file_that_is_not_python(sandbox: Sandbox) -> None:
    execution = sandbox.run(job("def f(x): return x", "assert f(1) == = 1"))
    assert (execution.verdict, execution.error_type) == ("error", "SyntaxError")
    assert "test_it.py line 1" in execution.error


@pytest.mark.parametrize(
    ("style", "tests"),
    [("assert", "x = 1"), ("unittest", "import unittest"), ("doctest", "no example"), ("pytest", "x = 1")],
)
def test_no_test_is_not_a_pass(sandbox: Sandbox, style: str, tests: str) -> None:
    execution = sandbox.run(job("def f(x): return x", tests, style))
    assert execution.verdict == "unverified"


@pytest.mark.parametrize(
    ("tests", "call", "got", "expected"),
    [
        ("assert f([1, 2]) == 9", "f([1, 2])", "3", "9"),
        ("assert 9 == f([1, 2])", "f([1, 2])", "3", "9"),
        ("assert f([1, 2]) is None", "f([1, 2])", "3", "None"),
        ("assert str(f([1, 2])) == '9'", "str(f([1, 2]))", "'3'", "'9'"),
        ("assert abs(f([1, 2]) - 9) < 1e-6", "f([1, 2])", "3", "abs(f([1, 2]) - 9) < 1e-06"),
        ("for x, y in [((1, 2), 3), ((2, 2), 9)]:\n    assert f(x) == y", "f((2, 2))", "4", "9"),
        ("assert f([1] * 500) == 9", f"f({repr([1] * 500)[:147]}...{repr([1] * 500)[-50:]})", "500", "9"),
    ],
)
def test_failing_case(cage: Sandbox, tests: str, call: str, got: str, expected: str) -> None:
    case = cage.run(job("def f(x): return sum(x)", tests)).failing_case
    assert case is not None
    assert (case.call, case.got, case.expected) == (call, got, expected)


def test_a_result_of_another_kind_raises_what_python_would(cage: Sandbox) -> None:
    execution = cage.run(job("def f(x): return None", "assert len(f(1)) == 2"))
    assert (execution.verdict, execution.error_type) == ("error", "TypeError")


def test_results_too_long_to_print_still_compare(cage: Sandbox) -> None:
    assert cage.run(returns("def f(): return 10 ** 5000", 10**4000)).verdict == "failed"


def test_jobs_with_equal_tests_share_one_plan() -> None:
    first, second = (
        plan_tests(Job.model_validate(job(p, "assert f(1) == 2").model_dump())) for p in ("a = 1", "b = 2")
    )
    assert first is second


def test_only_displays_of_constants_travel_as_source() -> None:
    """The host never reads sources, and even where they are read nothing but a set can come of one."""
    program = """
        from iterpref.sandbox.inside.values import codec
        def refused(decode, source):
            try:
                decode({"S": source})
            except codec.CodecError:
                return True
        assert refused(codec.decode, "{1}"), "the host reads a source"
        assert codec.decode_arguments({"S": "{3, -1, (2, 'a')}"}) == {3, -1, (2, "a")}
        for source in ("print(1)", "{print(1)}", "{x for x in (1,)}", "[1]", "{f'{1}'}", "{1 + 1}", "{().__class__}"):
            assert refused(codec.decode_arguments, source), source
        """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
