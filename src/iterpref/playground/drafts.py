"""Programs as the coder writes them: forms by habit, slips, what their tests say, and the one bug to fix first."""

import random
from dataclasses import dataclass, replace

from iterpref.playground.domain import placed
from iterpref.playground.operations import Site
from iterpref.playground.puzzles import Puzzle
from iterpref.playground.trials import CallOutcome, feedback, outcomes, syntax_feedback

MARK = "<"  # begins a line that a domain's `arrange` replaces by others; no slip takes it away


@dataclass(frozen=True)
class ProgramDraft:
    """A program before it is text: a form and a spelling for each site.

    `slip` is (site, what stands there instead): another step, or lines of text.
    """

    puzzle: Puzzle
    forms: tuple[int, ...]
    spellings: tuple[int, ...]
    slip: tuple[int, Site | tuple[str, ...]] | None = None

    @property
    def text(self) -> str:
        lines = [s.lines(f, k) for s, f, k in zip(self.puzzle.sites, self.forms, self.spellings, strict=True)]
        if self.slip:
            place, other = self.slip
            if isinstance(other, Site):
                lines[place] = other.lines(other.wanted, self.spellings[place])
            else:
                lines[place] = list(other)
        return self.puzzle.domain.arrange(self.puzzle.sites, lines)

    @property
    def faults(self) -> list[int]:
        """Sites whose code is not what the tests want, whether or not any test notices."""
        wrong = [i for i, form in enumerate(self.forms) if form != self.puzzle.wanted[i]]
        return sorted({*wrong, self.slip[0]} if self.slip else set(wrong))

    def fixed(self, place: int) -> "ProgramDraft":
        """The draft with the site's code as the tests want it."""
        forms = (*self.forms[:place], self.puzzle.wanted[place], *self.forms[place + 1 :])
        return replace(self, forms=forms, slip=self.slip if self.slip and self.slip[0] != place else None)


def draft_by_habit(puzzle: Puzzle, rng: random.Random, rightness: float = 0.0) -> ProgramDraft:
    """Forms by habit, except that each site is what the tests want with probability `rightness`."""
    forms, spellings = [], []
    for site in puzzle.sites:
        weights = [form.habit for form in site.operation.forms]
        habitual = rng.choices(range(len(weights)), weights)[0]
        forms.append(site.wanted if rng.random() < rightness else habitual)
        spellings.append(rng.randrange(2))
    return ProgramDraft(puzzle, tuple(forms), tuple(spellings))


def slipped(draft: ProgramDraft, rng: random.Random) -> ProgramDraft:
    """A draft with a step forgotten, cut short, with another parameter, or replaced by another operation."""
    place = rng.randrange(len(draft.forms))
    site = draft.puzzle.sites[place]
    operation = site.operation
    others: list[Site | tuple[str, ...]] = []
    if operation.takes == operation.gives:
        others.append(())
    if len(operation.parameters) > 1:
        changed = rng.choice([k for k in operation.parameters if k != site.parameter])
        others.append(replace(site, parameter=changed))
    kinds = (operation.takes, operation.gives)
    alike = [o for o in draft.puzzle.domain.operations if (o.takes, o.gives) == kinds and o != operation]
    if alike:
        others.append(placed(rng.choice(alike), rng))
    lines = site.lines(draft.forms[place], draft.spellings[place])
    if len(lines) == 1 and lines[0].endswith((")", "]")) and rng.random() < 0.5:
        others.append((lines[0][:-1],))
    slips = [replace(draft, slip=(place, other)) for other in others]
    if draft.puzzle.domain.forgets_lines:
        slips += _with_a_line_forgotten(draft, place, lines, rng)
    return rng.choice(slips) if slips else draft


def _with_a_line_forgotten(draft: ProgramDraft, place: int, lines: list[str], rng: random.Random) -> list[ProgramDraft]:
    """The draft without a random line of the site, if there is another one and Python still reads it."""
    able = [i for i, line in enumerate(lines) if not line.strip().startswith(MARK)]
    if len(lines) < 2 or not able:
        return []
    gone = rng.choice(able)
    shorter = replace(draft, slip=(place, (*lines[:gone], *lines[gone + 1 :])))
    try:
        compile(shorter.text, "<draft>", "exec")
    except SyntaxError:
        return []
    return [shorter]


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


def exposed(draft: ProgramDraft, case: int, got: CallOutcome | None, rng: random.Random) -> int:
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
