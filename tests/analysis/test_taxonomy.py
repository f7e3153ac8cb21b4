"""Each kind of failure, and how they are counted."""

import pytest

from iterpref.analysis.taxonomy import by_length, kind, kinds_by_model, taxonomy
from iterpref.records import Execution, FailingCase, Result, Sample

CASE = FailingCase(call="f(1)", got="1", expected="2")


def outcome(verdict: str, error_type: str = "", case: FailingCase | None = None) -> Execution:
    return Execution(verdict=verdict, trust="oracle", isolation="zygote", error_type=error_type, failing_case=case)


@pytest.mark.parametrize(
    ("execution", "completion", "expected"),
    [
        pytest.param(outcome("passed"), "", "", id="pass"),
        pytest.param(outcome("failed", "AssertionError", CASE), "", "wrong output", id="wrong value"),
        pytest.param(outcome("failed", "AssertionError"), "", "assertion", id="a test's assertion"),
        pytest.param(outcome("error", "AssertionError"), "", "assertion", id="the program's assertion"),
        pytest.param(outcome("error", "KeyError"), "", "KeyError", id="paper's kind"),
        pytest.param(outcome("error", "UnboundLocalError"), "", "NameError", id="subclass"),
        pytest.param(outcome("error", "IndentationError"), "", "SyntaxError", id="syntax"),
        pytest.param(outcome("error", "MyError"), "", "other exception", id="its own"),
        pytest.param(outcome("error", "NoProgram"), "Let me think", "extraction", id="no code"),
        pytest.param(outcome("error", "NoProgram"), "I'm sorry, but", "refusal", id="refused"),
        pytest.param(outcome("timeout", "cpu_s"), "", "timeout", id="timeout"),
        pytest.param(outcome("out_of_memory", "MemoryError"), "", "memory", id="memory"),
        pytest.param(outcome("exited_early"), "", "early exit", id="exit"),
    ],
)
def test_kind(execution: Execution, completion: str, expected: str) -> None:
    assert kind(execution, completion) == expected


def result(*executions: Execution) -> Result:
    samples = [
        Sample(task_id=f"t{i}", sample_index=0, completion="c", program="x\n" * (1 + 9 * i), execution=execution)
        for i, execution in enumerate(executions)
    ]
    return Result(result_id="r", benchmark="b", model="m", dataset_hash="d", protocol="p", samples=tuple(samples),
                  metrics={})  # fmt: skip


def test_counts_and_examples() -> None:
    first = result(outcome("passed"), outcome("error", "KeyError"), outcome("timeout"), outcome("error", "KeyError"))
    rows = taxonomy(first)
    assert [(row.kind, row.count, row.example.task_id) for row in rows] == [("KeyError", 2, "t1"), ("timeout", 1, "t2")]
    second = result(outcome("error", "NameError"), outcome("timeout"))
    assert kinds_by_model([first, second]) == [("KeyError", [2, 0]), ("NameError", [0, 1]), ("timeout", [1, 1])]


def test_by_program_length() -> None:
    rows = by_length(result(outcome("passed"), outcome("failed"), outcome("passed"), outcome("passed")))
    assert [(row.label, row.samples, row.passed) for row in rows] == [
        ("1 to 5", 1, 1),
        ("6 to 10", 1, 0),
        ("11 to 20", 1, 1),
        ("21 to 40", 1, 1),
    ]
