"""What the tiny coder is pretrained on: conversations with misconceptions, and repairs of one bug at a time.

An *attempt* answers a task's prompt with a program whose sites follow the habits in operations.py. A *repair* shows a
failing program and what its tests said, and answers with the program in which exactly one bug is fixed: the one that
the shown call exposes. Which one that is can often be told from the feedback alone (several bugs, ambiguous wordings),
so feedback is worth reading. Only tasks of the `pretraining` split are used.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

from iterpref.playground.operations import Site, program, prompt
from iterpref.playground.tasks import OPERATIONS, Puzzle, distinct_puzzles
from iterpref.playground.trials import CallOutcome, as_newer_python, feedback, outcomes, syntax_feedback
from iterpref.programs import fenced
from iterpref.prompts import render
from iterpref.records import Message

REPAIR_SHARE = 0.6
SLIP_SHARE = 0.12  # of the shown failing programs: a fault outside the misconceptions, as a small model makes


@dataclass(frozen=True)
class ProgramDraft:
    """A program before it is text: a form and a spelling for each site.

    `slip` is (site, what stands there instead): another step, a line of text, or None for nothing.
    """

    puzzle: Puzzle
    forms: tuple[int, ...]
    spellings: tuple[int, ...]
    slip: tuple[int, Site | str | None] | None = None

    @property
    def text(self) -> str:
        sites, forms = list(self.puzzle.sites), list(self.forms)
        if self.slip is None:
            return program(sites, forms, self.spellings)
        place, other = self.slip
        if isinstance(other, Site):
            sites[place], forms[place] = other, other.wanted
            return program(sites, forms, self.spellings)
        whole = program(sites, forms, self.spellings).split("\n")
        lengths = [len(s.lines(f, k)) for s, f, k in zip(sites, forms, self.spellings, strict=True)]
        first = 1 + sum(lengths[:place])  # after the line with `def`
        whole[first : first + lengths[place]] = [] if other is None else ["    " + other]
        return "\n".join(whole)

    @property
    def faults(self) -> list[int]:
        """Sites whose code is not what the tests want, whether or not any test notices."""
        wrong = [i for i, form in enumerate(self.forms) if form != self.puzzle.wanted[i]]
        return sorted({*wrong, self.slip[0]} if self.slip else set(wrong))

    def fixed(self, place: int) -> "ProgramDraft":
        """The draft with the site's code as the tests want it."""
        forms = (*self.forms[:place], self.puzzle.wanted[place], *self.forms[place + 1 :])
        return replace(self, forms=forms, slip=self.slip if self.slip and self.slip[0] != place else None)


def conversations(count: int, puzzles: int, seed: int) -> Iterator[tuple[Message, ...]]:
    """`count` conversations over `puzzles` distinct tasks; the last message is the reply to learn."""
    rng = random.Random(f"corpus/{seed}")
    pool = list(islice(distinct_puzzles("pretraining", seed), puzzles))
    for _ in range(count):
        repairs = rng.random() < REPAIR_SHARE
        talk: tuple[Message, ...] | None = None
        while talk is None:  # a program drawn for repair may pass
            puzzle = rng.choice(pool)
            asked = Message(role="user", content=prompt(puzzle.sites))
            if repairs:
                repair = _repair(puzzle, rng)
                talk = (asked, *repair) if repair else None
            else:
                talk = (asked, _reply(_draft(puzzle, rng, rightness=0.0)))
        yield talk


def _repair(puzzle: Puzzle, rng: random.Random) -> tuple[Message, Message, Message] | None:
    """A failing program, what its tests said, and the program with one bug fixed; None if it passes."""
    draft = _draft(puzzle, rng, rightness=rng.choice((0.0, 0.0, 0.35, 0.7)))
    if rng.random() < SLIP_SHARE:
        draft = _slipped(draft, rng)
    found = diagnose(draft.text, puzzle)
    if found is None:
        return None
    case, got, words = found
    if got and got.raised and rng.random() < 0.5:  # so that the coder knows the tracebacks of every Python
        words = feedback(draft.text, puzzle.arguments[case], as_newer_python(got), puzzle.expected[case])
    target = draft.fixed(_exposed(draft, case, got, rng))
    asked = Message(role="user", content=render("repair", feedback=words))
    return _reply(draft), asked, _reply(target)


def diagnose(text: str, puzzle: Puzzle) -> tuple[int, CallOutcome | None, str] | None:
    """First failing call, its outcome and its wording; None when the program passes."""
    try:
        results = outcomes(text, puzzle.arguments)
    except SyntaxError as error:
        return 0, None, syntax_feedback(text, error)
    for i, (got, expected) in enumerate(zip(results, puzzle.expected, strict=True)):
        if not got.same(expected):
            return i, got, feedback(text, puzzle.arguments[i], got, expected)
    return None


def _exposed(draft: ProgramDraft, case: int, got: CallOutcome | None, rng: random.Random) -> int:
    """The fault whose fix clears the shown failure; else one that changes it; else any."""
    if got is None and draft.slip:
        return draft.slip[0]
    expected, argument = draft.puzzle.expected[case], draft.puzzle.arguments[case]
    changing = []
    for place in draft.faults:
        try:
            after = outcomes(draft.fixed(place).text, [argument])[0]
        except SyntaxError:
            continue
        if after.same(expected):
            return place
        if got is None or not after.same(got):
            changing.append(place)
    return changing[0] if changing else rng.choice(draft.faults)


def _draft(puzzle: Puzzle, rng: random.Random, rightness: float) -> ProgramDraft:
    """Forms by habit, except that each site is what the tests want with probability `rightness`."""
    forms, spellings = [], []
    for site in puzzle.sites:
        weights = [form.habit for form in site.operation.forms]
        habitual = rng.choices(range(len(weights)), weights)[0]
        forms.append(site.wanted if rng.random() < rightness else habitual)
        spellings.append(rng.randrange(2))
    return ProgramDraft(puzzle, tuple(forms), tuple(spellings))


def _slipped(draft: ProgramDraft, rng: random.Random) -> ProgramDraft:
    """A draft with a step forgotten, cut short, with another parameter, or replaced by another operation."""
    place = rng.randrange(len(draft.forms))
    site = draft.puzzle.sites[place]
    operation = site.operation
    others: list[Site | str | None] = []
    if operation.takes == operation.gives:
        others.append(None)
    if len(operation.parameters) > 1:
        changed = rng.choice([k for k in operation.parameters if k != site.parameter])
        others.append(replace(site, parameter=changed))
    kinds = (operation.takes, operation.gives)
    alike = [o for o in OPERATIONS if (o.takes, o.gives) == kinds and o != operation]
    if alike:
        other = rng.choice(alike)
        wanted = rng.choices(range(len(other.forms)), [form.wanted for form in other.forms])[0]
        others.append(Site(other, rng.choice(other.parameters) if other.parameters else None, wanted))
    lines = site.lines(draft.forms[place], draft.spellings[place])
    if len(lines) == 1 and lines[0].endswith((")", "]")) and rng.random() < 0.5:
        others.append(lines[0][:-1])
    return replace(draft, slip=(place, rng.choice(others))) if others else draft


def _reply(draft: ProgramDraft) -> Message:
    return Message(role="assistant", content=fenced(draft.text))
