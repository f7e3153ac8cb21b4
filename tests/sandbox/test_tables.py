"""Long call tables: how each kind of match judges, what a wrong row says, and results too large to send."""

import math

import pytest

from iterpref.errors import RecordError
from iterpref.records import Limits, TestFile
from iterpref.sandbox import Job
from iterpref.sandbox.call_tables import CallRow, arguments, close, encode, read_row, write_row
from iterpref.sandbox.inside.values.stand_ins import LARGE, fingerprint, is_large


def job(program, *rows, entry_point="f", **limits):
    content = "\n".join(write_row(row) for row in rows)
    test = TestFile(path="table.jsonl", content=content)
    return Job(program=program, tests=(test,), style="calls", entry_point=entry_point, limits=Limits(**limits))


def row(args, output, **how):
    return CallRow(arguments(args), encode(output), **how)


@pytest.mark.parametrize(
    ("program", "case", "verdict"),
    [
        pytest.param("f = abs", row([-2], 2), "passed", id="equal"),
        pytest.param("f = abs", row([-2], 3), "failed", id="not equal"),
        pytest.param("f = tuple", row([[1]], [1]), "failed", id="a tuple is not a list"),
        pytest.param("def f(x): return x + 1e-7", row([1.0], 1.0, atol=1e-6), "passed", id="within atol"),
        pytest.param("def f(x): return x + 1e-5", row([1.0], 1.0, atol=1e-6), "failed", id="beyond atol"),
        pytest.param("def f(x): return int(x)", row([1.0], 1.1, atol=1.0), "failed", id="atol needs one type"),
        pytest.param("def f(x): return [x, x]", row([1], [1], atol=1.0), "failed", id="atol needs one length"),
        pytest.param("f = reversed", row([[1, 2]], [1, 2], match="set"), "passed", id="set opens an iterator"),
        pytest.param("f = list", row([[1, 3]], [1, 2], match="set"), "failed", id="other set"),
        pytest.param("def f(x): return [[x]]", row([1], [1], match="set"), "failed", id="unhashable in a set"),
        pytest.param("import re\ndef f(x): return re.match('a', x)", row(["a"], True, match="not_none"), "passed",
                     id="an object stands for True"),
        pytest.param("def f(x): return None", row(["a"], True, match="not_none"), "failed", id="None for True"),
        pytest.param("def f(x): return False", row(["a"], True, match="not_none"), "failed", id="False for True"),
        pytest.param("def f(x): return 2.0", row([[-4, 0, 1]], None, match="root", atol=1e-4), "passed", id="root"),
        pytest.param("def f(x): return 2.1", row([[-4, 0, 1]], None, match="root", atol=1e-4), "failed", id="no root"),
        pytest.param("def f(x): return 'x'", row([[-4]], None, match="root", atol=1e-4), "failed", id="root of text"),
        pytest.param("def f(x): return 7", row([1], 8, accept=(7,)), "passed", id="another right result"),
        pytest.param("def f(x): return object()", row([1], 8, match="any"), "passed", id="anything but an exception"),
        pytest.param("def f(x): raise ValueError(x)", row([1], 8, match="any"), "error", id="exception"),
        pytest.param("import os\ndef f(x): os._exit(0)", row([1], 1), "exited_early", id="exit"),
        pytest.param("def f(x):\n    while True: pass", row([1], 1), "timeout", id="endless"),
    ],
)  # fmt: skip
def test_verdict_of_a_row(sandbox, program, case, verdict):
    execution = sandbox.run(job(program, case, cpu_s=0.5))
    assert execution.verdict == verdict
    assert execution.trust == "oracle"
    assert [test.name for test in execution.tests] == ["table.jsonl"]


def test_the_first_wrong_call_is_told(sandbox):
    execution = sandbox.run(job("def f(x): return x if x < 3 else 0", *(row([i], i) for i in range(1000))))
    case = execution.failing_case
    assert (case.call, case.got, case.expected) == ("f(3)", "0", "3")
    assert execution.error == "f(3) returned 0, expected 3"
    assert len(execution.tests) == 1


def test_a_file_that_passed_before_a_timeout_counts_as_passed(sandbox):
    program = "def f(x):\n    while x > 1: pass\n    return x"
    files = [TestFile(path=f"{n}.jsonl", content=write_row(row([n], n))) for n in (1, 2)]
    execution = sandbox.run(Job(program=program, tests=tuple(files), style="calls", entry_point="f",
                                limits=Limits(cpu_s=0.5)))  # fmt: skip
    assert execution.verdict == "timeout"
    assert [test.verdict for test in execution.tests] == ["passed", "not_run"]


def test_a_table_after_literal_rows_keeps_its_numbering(sandbox):
    mixed = '{"args": "(1,)", "expected": "2"}\n' + write_row(row([5], 6)) + "\n" + write_row(row([6], 7))
    test = TestFile(path="mixed.jsonl", content=mixed)
    good = Job(program="def f(x): return x + 1", tests=(test,), style="calls", entry_point="f")
    assert sandbox.run(good).passed
    bad = sandbox.run(good.model_copy(update={"program": "def f(x): return 2 if x < 6 else 0"}))
    assert bad.failing_case.call == "f(5)"


@pytest.mark.parametrize(
    ("program", "passed"),
    [
        pytest.param("def f(n): return [1.0] * n", True, id="1.0 is 1"),
        pytest.param("def f(n): return [1] * (n - 1) + [2]", False, id="one item differs"),
        pytest.param("def f(n): return (1,) * n", False, id="a tuple is not a list"),
        pytest.param("def f(n): return [1] * 3", False, id="small"),
        pytest.param("def f(n): return [1] * (n - 1) + [{}]", False, id="an unhashable item"),
        pytest.param("class L(list):\n    def __eq__(s, o): return True\ndef f(n): return L()", False, id="forged"),
    ],
)
def test_large_results_are_compared_by_fingerprint(sandbox, program, passed):
    size = 3_000_000  # more than the result channel takes
    answers = sandbox.answers(job("def f(n): return [1] * n", CallRow(arguments([size]))))
    expected = CallRow(arguments([size]), encode(answers.values[0]))
    execution = sandbox.run(job(program, expected))
    assert execution.passed is passed, execution.error


def test_answers_are_the_results_in_order(sandbox):
    answers = sandbox.answers(job("def f(x): return (x, {x})", CallRow(arguments([1])), CallRow(arguments(["a"]))))
    assert answers.values == ((1, {1}), ("a", {"a"}))
    assert answers.problem == ""


@pytest.mark.parametrize(
    ("program", "problem"),
    [
        pytest.param("def f(x): return 1 / x", "error: call 1 raised ZeroDivisionError", id="raises"),
        pytest.param("def g(x): return x", "error: call 0 raised NameError", id="no such function"),
        pytest.param("f = ", "error: SyntaxError", id="does not parse"),
        pytest.param("import os\ndef f(x): os._exit(3)", "exited_early", id="ends"),
    ],
)
def test_answers_say_why_there_are_none(sandbox, program, problem):
    answers = sandbox.answers(job(program, CallRow(arguments([1])), CallRow(arguments([0]))))
    assert answers.values == ()
    assert answers.problem.startswith(problem)


@pytest.mark.parametrize(
    "values",
    [
        pytest.param({"input": 3, "output": 1}, id="input is no list"),
        pytest.param({"input": [], "outputs": 1}, id="unknown key"),
        pytest.param({"input": [], "output": 1, "match": "fuzzy"}, id="unknown match"),
    ],
)
def test_a_wrong_row_is_an_error(values):
    with pytest.raises(RecordError, match=r"base\.jsonl line 3: .*expected input"):
        read_row("base.jsonl line 3", values)


def test_rows_survive_being_written():
    written = CallRow([1, {"t": [2]}], {"s": [3]}, (4,), "set", 0.5)
    import json

    assert read_row("x", json.loads(write_row(written))) == written


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ([1, 2.0, True], [1.0, 2, 1], True),
        ([-1, 3], [-2, 3], False),
        (-1, -2, False),
        ([[1], [2]], [[1.0], [2]], True),
        ([[1], [2]], [(1,), [2]], False),
        ({"a": [1], "b": 2}, {"b": 2.0, "a": [1]}, True),
        ({1, 2}, {2, 1.0}, True),
        ([(-1, 2)], [(-2, 2)], False),
        ([(1,), (2, 3)], [(1, 2), (3,)], False),
        ([[1], ["a"]], [[True], ["a"]], True),
        ("ab", "ba", False),
    ],
)
def test_fingerprints_agree_with_equality(one, other, equal):
    assert (one == other) is equal
    assert (fingerprint(one) == fingerprint(other)) is equal


@pytest.mark.parametrize(
    ("value", "large"),
    [
        ([0] * LARGE, False),
        ([0] * (LARGE + 1), True),
        (["x" * LARGE, "y"], True),
        ("x" * (LARGE + 1), True),
        (7, False),
    ],
)
def test_what_is_large(value, large):
    assert is_large(value) is large


def test_close_looks_inside_lists():
    assert close([1.0, [2.0]], [1.0, [2.0 + 1e-9]], 1e-6)
    assert not close([1.0, ["a"]], [1.0, [2.0]], 1e-6)
    assert not close("a", "b", 1e-6)


LONG = [9450000, 9, -7, 3, 2, 6, 1, -4, -10, 6, 17, -1]  # HumanEval/32's inputs hold such


@pytest.mark.parametrize(
    ("value", "holds"),
    [
        (17.3124550475086, True),
        (17.3125, False),
        (0.0, False),
        (math.inf, False),
        (1e300, False),
    ],
)
def test_a_root_is_judged_as_exactly_as_floats_allow(value, holds):
    """On every version of Python alike: from 3.12 on its `sum` rounds once, and this root leaves 0.002."""
    assert CallRow([encode(LONG)], match="root", atol=1e-4).holds(value) == holds
    assert CallRow([encode([-6, 11, -6, 1])], match="root", atol=1e-4).holds(1.00001)
    assert not CallRow([encode([-6, 11, -6, 1])], match="root", atol=1e-4).holds(1.001)
