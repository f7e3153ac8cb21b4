import pytest
from pydantic import ValidationError

from iterpref.records import (
    Attempt,
    Execution,
    FailingCase,
    Limits,
    Message,
    PreferencePair,
    Record,
    Result,
    Sample,
    Span,
    Task,
    TestFile,
    TestOutcome,
    Trajectory,
    fingerprint,
)

TASK = Task(
    task_id="t/1",
    prompt=(Message(role="user", content="Double x. ☃"),),
    tests=(TestFile(path="tests.py", content="assert f(2) == 4"),),
    style="assert",
    entry_point="f",
    limits=Limits(cpu_s=1.5),
)
EXECUTION = Execution(
    verdict="failed",
    trust="oracle",
    isolation="zygote",
    failing_case=FailingCase(call="f(2)", got="3", expected="4"),
    tests=(TestOutcome(name="f(2)", verdict="failed"),),
)
ATTEMPT = Attempt(iteration=0, program="f = 1", completion="```python\nf = 1\n```", execution=EXECUTION)
TRAJECTORY = Trajectory(trajectory_id="a", task_id="t/1", attempts=(ATTEMPT,), status="unresolved")
PAIR = PreferencePair(
    pair_id="p", task_id="t/1", prompt="Double x.", chosen="a\nb", rejected="a\nc",
    chosen_spans=(Span(start=2, stop=3),), rejected_spans=(Span(start=2, stop=3),),
    diff="lcs", diff_version=1, render_template="fenced_python",
)  # fmt: skip
RESULT = Result(
    result_id="r", benchmark="playground", model="m", dataset_hash="d", protocol="chat", metrics={"pass@1": 0.5},
    samples=(Sample(task_id="t/1", sample_index=0, completion="", program="", execution=EXECUTION),),
)  # fmt: skip


@pytest.mark.parametrize("record", [TASK, EXECUTION, ATTEMPT, TRAJECTORY, PAIR, RESULT], ids=lambda r: type(r).__name__)
def test_json_round_trip(record: Record) -> None:
    assert type(record).model_validate_json(record.model_dump_json()) == record


def test_records_are_frozen_and_strict() -> None:
    with pytest.raises(ValidationError):
        TASK.prompt = "other"
    with pytest.raises(ValidationError, match="extra_forbidden"):
        Task.model_validate(TASK.model_dump() | {"tets": []})


@pytest.mark.parametrize("tests", [(), (TestFile(path="t.py", content="  \n"),)], ids=["none", "blank"])
def test_a_task_needs_tests(tests: tuple[TestFile, ...]) -> None:
    with pytest.raises(ValidationError, match="task t/1: no tests"):
        Task(task_id="t/1", prompt="x", tests=tests, style="assert")


@pytest.mark.parametrize("path", ["/etc/passwd", "../solution.py", "a/../../b.py", ""])
def test_a_path_stays_inside(path: str) -> None:
    with pytest.raises(ValidationError, match="must be relative and stay inside"):
        Task.model_validate(TASK.model_dump() | {"program_path": path})


def test_tests_hash_covers_what_decides_the_verdict() -> None:
    other = TASK.model_copy(update={"tests": (TestFile(path="tests.py", content="assert f(2) == 5"),)})
    assert other.tests_hash != TASK.tests_hash
    assert TASK.model_copy(update={"prompt": "another"}).tests_hash == TASK.tests_hash


def test_content_hash_covers_text_and_spans_only() -> None:
    assert PAIR.model_copy(update={"pair_id": "q"}).content_hash == PAIR.content_hash
    assert PAIR.model_copy(update={"rejected_spans": ()}).content_hash != PAIR.content_hash
    as_turns = PAIR.model_copy(update={"prompt": (Message(role="user", content="Double x."),)})
    assert as_turns.content_hash == PAIR.content_hash


def test_fingerprint_is_stable() -> None:
    """Written out: a changed hash function would orphan every ledger."""
    assert fingerprint({"b": [1, None], "a": "é"}) == fingerprint({"a": "é", "b": [1, None]})
    assert fingerprint(["x", 1]) == "59402b0471b497c05ad760c8"
