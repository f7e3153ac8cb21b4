"""What a tiny coder is pretrained on: conversations with misconceptions, and repairs of one bug at a time.

An *attempt* answers a task's prompt with a program whose sites follow the habits of their operations. A *repair* shows
a failing program and what its tests said, and answers with the program in which exactly one bug is fixed: the one that
the shown call exposes. Which one that is can often be told from the feedback alone (several bugs, ambiguous wordings),
so feedback is worth reading. Only tasks of the `pretraining` split are used.
"""

import random
from collections.abc import Iterator
from itertools import islice

from iterpref.playground.domain import Domain
from iterpref.playground.drafts import ProgramDraft, diagnose, draft_by_habit, exposed, slipped
from iterpref.playground.puzzles import Puzzle, distinct_puzzles
from iterpref.playground.trials import as_newer_python, feedback
from iterpref.programs import fenced
from iterpref.prompts import render
from iterpref.records import Message

REPAIR_SHARE = 0.6
SLIP_SHARE = 0.12  # of the shown failing programs: a fault outside the misconceptions, as a small model makes


def conversations(domain: Domain, count: int, puzzles: int, seed: int) -> Iterator[tuple[Message, ...]]:
    """`count` conversations over `puzzles` distinct tasks; the last message is the reply to learn."""
    rng = random.Random(f"corpus/{seed}")
    pool = list(islice(distinct_puzzles(domain, "pretraining", seed), puzzles))
    for _ in range(count):
        repairs = rng.random() < REPAIR_SHARE
        talk: tuple[Message, ...] | None = None
        while talk is None:  # a program drawn for repair may pass
            puzzle = rng.choice(pool)
            asked = Message(role="user", content=puzzle.prompt)
            if repairs:
                repair = _repair(puzzle, rng)
                talk = (asked, *repair) if repair else None
            else:
                talk = (asked, _reply(draft_by_habit(puzzle, rng)))
        yield talk


def _repair(puzzle: Puzzle, rng: random.Random) -> tuple[Message, Message, Message] | None:
    """A failing program, what its tests said, and the program with one bug fixed; None if it passes."""
    draft = draft_by_habit(puzzle, rng, rightness=rng.choice((0.0, 0.0, 0.35, 0.7)))
    if rng.random() < SLIP_SHARE:
        draft = slipped(draft, rng)
    found = diagnose(draft.text, puzzle)
    if found is None:
        return None
    case, got, words = found
    if got and got.raised and rng.random() < 0.5:  # so that the coder knows the tracebacks of every Python
        words = feedback(draft.text, puzzle.arguments[case], as_newer_python(got), puzzle.expected[case])
    target = draft.fixed(exposed(draft, case, got, rng))
    asked = Message(role="user", content=render("repair", feedback=words))
    return _reply(draft), asked, _reply(target)


def _reply(draft: ProgramDraft) -> Message:
    return Message(role="assistant", content=fenced(draft.text))
