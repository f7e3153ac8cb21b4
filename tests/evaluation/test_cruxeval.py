"""CRUXEval on rows of our own; on its own rows and its recorded answers where `ITERPREF_CRUXEVAL` names a checkout.

The checkout is github.com/facebookresearch/cruxeval, whose `samples/` hold answers of CodeLlama 7B with its verdicts.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from iterpref.errors import RecordError
from iterpref.evaluation.benchmarks import load_benchmark
from iterpref.evaluation.benchmarks.cruxeval import answering
from iterpref.evaluation.benchmarks.registry import DEFINITIONS
from iterpref.evaluation.preflight import preflight
from iterpref.evaluation.protocols import ask, program_of
from iterpref.records import Task
from iterpref.sandbox import Job, Sandbox

ROWS = [
    {"code": "def f(xs, x):\n    return xs + [x] * 2", "input": "[1], 2", "output": "[1, 2, 2]", "id": "sample_0"},
    {"code": "def f(s):\n    return s == '{output}', '{code}'", "input": "'x == y'", "output": "(False, '{code}')",
     "id": "sample_1"},
]  # fmt: skip


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(workers=1) as opened:
        yield opened


def tasks(tmp_path: Path, letter: str) -> list[Task]:
    path = tmp_path / "cruxeval.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in ROWS))
    return load_benchmark(f"cruxeval-{letter}", path=str(path)).tasks


@pytest.mark.parametrize("letter", ["i", "o"])
def test_references_pass_and_questions_end_at_the_answer(tmp_path: Path, sandbox: Sandbox, letter: str) -> None:
    found = tasks(tmp_path, letter)
    assert [task.task_id for task in found] == [f"cruxeval-{letter}/0", f"cruxeval-{letter}/1"]
    assert preflight(found, sandbox) == {}
    asked = ask(found[1], DEFINITIONS[f"cruxeval-{letter}"], "base")
    last = {"i": "assert f(??) == (False, '{code}')", "o": "assert f('x == y') == ??"}[letter]
    shown = f"[PYTHON]\n{ROWS[1]['code']}\n{last}\n[/PYTHON]\n[ANSWER]\n"
    assert asked.raw and asked.messages[0].content.endswith(shown) and "[/ANSWER]" in asked.stop


@pytest.mark.parametrize(
    ("letter", "reply", "right"),
    [
        pytest.param("o", "assert f([1], 2) == [1, 2, 2]\n[/ANSWER] and more", True, id="an assertion"),
        pytest.param(
            "o", "[ANSWER]\n```python\nassert f([1], 2) == [1, 2, 2]\n```\n[/ANSWER]", True, id="marks, fence"
        ),
        pytest.param("o", "[1, 2, 2]", True, id="the value alone"),
        pytest.param("o", "assert f([1], 2) == [1, 2]", False, id="another value"),
        pytest.param("o", "assert f([1], 2) == f([1], 2)", False, id="the question again"),
        pytest.param("o", "", False, id="nothing"),
        pytest.param("i", "assert f([1], 2) == [1, 2, 2]", True, id="a call"),
        pytest.param("i", "assert f([1, 2, 2][:1], 2) == [1, 2, 2]", True, id="another call"),
        pytest.param("i", "f([], 2)", False, id="a wrong call"),
        pytest.param("i", "assert [1, 2, 2] == [1, 2, 2]", False, id="no call"),
    ],
)
def test_answers(tmp_path: Path, sandbox: Sandbox, letter: str, reply: str, right: bool) -> None:
    task = tasks(tmp_path, letter)[0]
    program = program_of(task, reply, "plain", DEFINITIONS[f"cruxeval-{letter}"])
    assert (bool(program) and sandbox.run(Job.from_task(task, program)).passed) == right


@pytest.mark.parametrize("field", ["code", "input", "output", "id"])
def test_bad_input_a_field_that_is_no_text(tmp_path: Path, field: str) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps(ROWS[0] | {field: 3}))
    with pytest.raises(RecordError, match=rf"rows.jsonl:1: {field} is a number, expected a text"):
        load_benchmark("cruxeval-o", path=str(tmp_path / "rows.jsonl"))


@pytest.mark.slow
@pytest.mark.parametrize(("letter", "mode"), [("i", "input"), ("o", "output")])
def test_verdicts_of_the_recorded_answers(sandbox: Sandbox, letter: str, mode: str) -> None:
    """The first recorded answer to each of the 800 questions."""
    checkout = Path(os.environ.get("ITERPREF_CRUXEVAL", "-"))
    scored = checkout / f"samples/evaluation_results/sample_scored_codellama-7b_temp0.2_{mode}.json"
    if not scored.is_file():
        pytest.skip("needs CRUXEval's repository (set ITERPREF_CRUXEVAL to a checkout)")
    recorded = json.loads(scored.read_text())
    differ = []
    for task in load_benchmark(f"cruxeval-{letter}", path=str(checkout / "data/cruxeval.jsonl")).tasks:
        name = f"sample_{task.task_id.rpartition('/')[2]}"
        answer, there = (recorded[part][name][0] for part in ("raw_generations", "raw_scored_generations"))
        call = str(task.prompt).rpartition("\nassert ")[2].partition(" == ??")[0]
        allowed = "f(" in answer if letter == "i" else call not in answer
        here = allowed and sandbox.run(Job.from_task(task, answering(answer))).passed
        differ += [name] if here != there else []
    assert differ == []
