"""What is told about a failing program, word for word: run in the real sandbox, read as a model or a person reads it.

The files in `feedback/` hold one case after the other: a program, its tests, and below what the Execution says
(verdict, error type, phase, error, failing case) and the feedback, where it isn't the error itself. These texts are
part of every experiment, so a change must be meant.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jobs import job

from iterpref.feedback import MAX_CHARS, feedback_text
from iterpref.records import Limits, TestFile
from iterpref.sandbox import Job, Sandbox

CASES = {
    f"{path.stem}: {name}": body
    for path in sorted((Path(__file__).parent / "feedback").glob("*.txt"))
    for name, body in re.findall(r"^=== (.+)\n((?:(?!=== ).*\n)+)", path.read_text(encoding="utf-8"), re.MULTILINE)
}


def sections(text: str) -> list[tuple[str, str]]:
    """The parts of a case, in order, each with what stands behind its dashes."""
    parts = re.split(r"^--- (.+)\n", text.rstrip("\n") + "\n", flags=re.MULTILINE)[1:]
    return [(title, body.removesuffix("\n")) for title, body in zip(parts[::2], parts[1::2], strict=True)]


def made(title: str, program: str, tests: str) -> Job:
    """`assert {"limits": {"cpu_s": 0.5}}` with its two texts."""
    style, _, options = title.partition(" ")
    fields: dict[str, Any] = json.loads(options or "{}")
    fields["files"] = tuple(TestFile.model_validate(file) for file in fields.get("files", ()))
    fields["limits"] = Limits.model_validate(fields.get("limits", {}))
    return job(program + "\n", tests + "\n", style, **fields)


@pytest.mark.parametrize("name", CASES)
def test_what_is_told(cage: Sandbox, name: str) -> None:
    (title, program), (_, tests), (outcome, error), *others = sections(CASES[name])
    more = dict(others)
    execution = cage.run(made(title, program, tests))
    assert execution.text == error
    assert not re.search(r"^  (\S+ )?line \d+(, in \w+)?: ", execution.error, re.MULTILINE)  # those are frames
    assert f"{execution.verdict} {execution.error_type}".strip() + f" in phase {execution.phase}" == outcome
    case = execution.failing_case
    assert (case and [case.call, case.got, case.expected]) == (json.loads(more["case"]) if "case" in more else None)
    assert feedback_text(execution) == more.get("feedback", error)
    assert len(more.get("feedback", error)) <= MAX_CHARS


def test_a_message_of_a_million_characters_is_cut(cage: Sandbox) -> None:
    execution = cage.run(job("def f(n):\n    raise ValueError('x' * 10**6)\n", "assert f(3) == 3"))
    assert execution.error == f"ValueError: {'x' * 372}...{'x' * 125}"
    assert execution.frames == ("  line 2, in f: raise ValueError('x' * 10**6)",)
    assert feedback_text(execution) == f"f(3) raised {execution.text}"


@pytest.mark.parametrize(
    ("returned", "expected", "parting"),
    [
        pytest.param("[0] * 500 + [x]", "[0] * 501", "They differ first at [500]: 3, expected 0", id="list"),
        pytest.param("[[0] * 90, [x] * 90]", "[[0] * 90] * 2", "They differ first at [1][0]: 3, expected 0", id="rows"),
        pytest.param("[0] * 500", "[0] * 501", "They differ in length: 500, expected 501", id="shorter"),
        pytest.param(
            "{'a': [0] * 99 + [x]}", "{'a': [0] * 100}", "They differ first at ['a'][99]: 3, expected 0", id="dict"
        ),
        pytest.param("'a' * 300 + 'b'", "'a' * 301", "They differ first at [300:]: 'b', expected 'a'", id="text"),
        pytest.param(
            "[float('nan')] * 99 + [x]",
            "[float('nan')] * 99 + [0]",
            "They differ first at [99]: 3, expected 0",
            id="NaN",
        ),
        pytest.param("[x]", "[0] * 500", "They differ first at [0]: 3, expected 0", id="only one side is long"),
        pytest.param("[x] * 500", "None", "", id="other kinds"),
    ],
)
def test_where_long_results_part(cage: Sandbox, returned: str, expected: str, parting: str) -> None:
    execution = cage.run(job(f"def f(x):\n    return {returned}\n", f"assert f(3) == {expected}"))
    first, _, second = execution.error.partition("\n")
    assert first.startswith("f(3) returned ")
    assert second == parting
