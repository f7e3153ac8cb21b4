"""Each kind of failure, and how they are counted."""

import pytest

from iterpref.analysis.taxonomy import by_difficulty, by_length, failure_kind, kinds_by_model, paper_counts, taxonomy
from iterpref.records import Execution, FailingCase, Result, Sample

CASE = FailingCase(call="f(1)", got="1", expected="2")
PRINTED = FailingCase(kind="input", call="1\n", got="1\n", expected="2\n")


def outcome(verdict: str, error_type: str = "", case: FailingCase | None = None) -> Execution:
    return Execution(verdict=verdict, trust="oracle", isolation="zygote", error_type=error_type, failing_case=case)


@pytest.mark.parametrize(
    ("execution", "completion", "expected"),
    [
        pytest.param(outcome("passed"), "", "", id="pass"),
        pytest.param(outcome("failed", "AssertionError", CASE), "", "wrong output", id="wrong value"),
        pytest.param(outcome("failed", "AssertionError", PRINTED), "", "wrong output", id="something else printed"),
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
    assert failure_kind(execution, completion) == expected


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


def test_the_form_of_table_18() -> None:
    first = result(outcome("passed"), outcome("error", "KeyError"), outcome("timeout"), outcome("error", "NameError"))
    (row,) = paper_counts([first])
    assert (row.model, row.samples, row.failed, row.counts, row.sum) == ("m", 4, 3, [0, 1, 1, 0], 2)


def test_by_program_length() -> None:
    found = by_length(
        result(outcome("passed"), outcome("failed"), outcome("passed"), outcome("error", "KeyError"), outcome("failed"))
    )
    assert found.groups == ["1-5 lines", "6-10 lines", "11-20 lines", "21-40 lines"]
    assert (found.samples, found.passed) == ([1, 1, 1, 2], [1, 0, 1, 0])
    assert found.kinds == [("assertion", [0, 1, 0, 1]), ("KeyError", [0, 0, 0, 1])]


@pytest.mark.parametrize(
    ("labels", "groups"),
    [
        pytest.param(["hard", "easy", "medium"], ["easy", "medium", "hard"], id="LiveCodeBench"),
        pytest.param(["reference: 11-20 lines", "reference: 6-10 lines", "reference: 1-5 lines"],
                     ["reference: 1-5 lines", "reference: 6-10 lines", "reference: 11-20 lines"], id="references"),
    ],
)  # fmt: skip
def test_by_difficulty(labels: list[str], groups: list[str]) -> None:
    made = result(outcome("failed"), outcome("passed"), outcome("timeout"), outcome("passed"))
    known = made.model_copy(update={"difficulty": {f"t{i}": label for i, label in enumerate(labels)}})
    found = by_difficulty(known)
    assert found is not None and (found.groups, found.samples) == (groups, [1, 1, 1])  # t3 has none
    assert sum(found.passed) == 1 and dict(found.kinds).keys() == {"assertion", "timeout"}
    assert by_difficulty(made) is None
