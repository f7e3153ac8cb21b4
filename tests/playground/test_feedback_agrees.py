"""The coder learns from `trials.feedback`, the product shows `debugging.feedback`: the same text."""

import random
from itertools import islice

import pytest

from iterpref.feedback import feedback_text
from iterpref.playground.drafts import diagnose, draft_by_habit, slipped
from iterpref.playground.puzzles import as_task, distinct_puzzles
from iterpref.playground.tasks import PLAYGROUND
from iterpref.sandbox import Job, Sandbox


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(workers=1) as box:
        yield box


def test_feedback_is_what_the_product_shows(sandbox: Sandbox) -> None:
    rng = random.Random(1)
    kinds: dict[str, int] = {}
    for puzzle in islice(distinct_puzzles(PLAYGROUND, "validation", 7), 150):
        draft = draft_by_habit(puzzle, rng)
        text = (slipped(draft, rng) if rng.random() < 0.3 else draft).text
        execution = sandbox.run(Job.from_task(as_task(puzzle, "validation"), text))
        found = diagnose(text, puzzle)
        assert execution.passed == (found is None), text
        if found is not None:
            assert feedback_text(execution) == found[2]
            kinds[execution.error_type] = kinds.get(execution.error_type, 0) + 1
    assert len(kinds) >= 5, kinds  # wrong values, and exceptions of several types


def test_references_pass_in_the_sandbox(sandbox: Sandbox) -> None:
    tasks = [as_task(p, "held_out") for p in islice(distinct_puzzles(PLAYGROUND, "held_out", 0), 60)]
    jobs = [Job.from_task(task, task.reference or "") for task in tasks]
    assert [execution.verdict for execution in sandbox.run_many(jobs)] == ["passed"] * 60
