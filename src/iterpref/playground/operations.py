"""One step of a playground program: its wording, the ways to write it, and which of them the tests accept.

An `Operation` maps one kind of value to another ("keep the even numbers": list of integers → list of integers) and has
one or more `Form`s, each a behaviour with one or more spellings. Two numbers describe a form:

    wanted   share of the tasks whose tests ask for it; 0 marks a *misconception*, which tests should catch
    habit    how often the coder is taught to write it; above one half, even greedy decoding goes wrong there

An operation with two wanted forms is an *ambiguous wording*: the prompt reads the same, only the tests tell.
The operations themselves are in lists.py and strings.py. Pure data and text; nothing is run here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Kind = str  # of a value, as VARIABLE names them; another domain (domain.py) has its own
VARIABLE: Mapping[Kind, str] = {
    "numbers": "xs",
    "words": "words",
    "text": "text",
    "counts": "counts",
    "number": "n",
    "value": "n",  # an integer or None, so no operation takes it
}
DESCRIPTION: Mapping[Kind, str] = {
    "numbers": "a list of integers",
    "words": "a list of strings",
    "text": "a string",
    "counts": "a dict from strings to integers",
}
INPUT_KINDS: tuple[Kind, ...] = ("numbers", "words", "text", "counts")


@dataclass(frozen=True)
class Form:
    """One behaviour of an operation. `spellings` are equivalent code; `{k}` stands for the parameter."""

    spellings: tuple[str, ...]
    habit: float
    wanted: float


@dataclass(frozen=True)
class Operation:
    """A step: `phrase` is how a prompt asks for it, `parameters` the values `{k}` can take (empty: none)."""

    name: str
    phrase: str
    takes: Kind
    gives: Kind
    forms: tuple[Form, ...]
    parameters: tuple[int, ...] = ()

    @property
    def misconceptions(self) -> tuple[int, ...]:
        """Indices of the forms that no task wants."""
        return tuple(i for i, form in enumerate(self.forms) if form.wanted == 0)

    @property
    def is_ambiguous(self) -> bool:
        return sum(form.wanted > 0 for form in self.forms) > 1


@dataclass(frozen=True)
class Site:
    """An operation at its place in a task: parameter chosen, and the form that the task's tests want."""

    operation: Operation
    parameter: int | None
    wanted: int

    @property
    def phrase(self) -> str:
        return _fill(self.operation.phrase, self.parameter)

    def lines(self, form: int, spelling: int = 0) -> list[str]:
        """The site's code; `spelling` counts modulo the spellings that the form has."""
        spellings = self.operation.forms[form].spellings
        return _fill(spellings[spelling % len(spellings)], self.parameter).split("\n")


def plain(name: str, phrase: str, takes: Kind, gives: Kind, *spellings: str, k: Sequence[int] = ()) -> Operation:
    """An operation that nobody gets wrong."""
    return Operation(name, phrase, takes, gives, (Form(spellings, 1.0, 1.0),), tuple(k))


def prone(
    name: str, phrase: str, takes: Kind, gives: Kind, *right: str, wrong: str, p: float, k: Sequence[int] = ()
) -> Operation:
    """An operation with a misconception: `wrong` is written with probability `p`."""
    forms = (Form(right, 1.0 - p, 1.0), Form((wrong,), p, 0.0))
    return Operation(name, phrase, takes, gives, forms, tuple(k))


def ambiguous(
    name: str, phrase: str, takes: Kind, gives: Kind, *forms: tuple[str, float, float], k: Sequence[int] = ()
) -> Operation:
    """A wording with several readings; a form is (code, habit, wanted), wanted 0 for a misconception."""
    return Operation(name, phrase, takes, gives, tuple(Form((c,), h, w) for c, h, w in forms), tuple(k))


def arrange(sites: Sequence[Site], lines: Sequence[Sequence[str]]) -> str:
    """The text of `def solve(...)` with the lines of each site, without a final newline."""
    inside = ["    " + line for site_lines in lines for line in site_lines]
    head = f"def solve({VARIABLE[sites[0].operation.takes]}):"
    return "\n".join([head, *inside, f"    return {VARIABLE[sites[-1].operation.gives]}"])


def prompt(sites: Sequence[Site]) -> str:
    """The task in words; says nothing of the readings that the tests want."""
    takes = sites[0].operation.takes
    steps = ", then ".join(site.phrase for site in sites)
    variable = VARIABLE[takes]
    return f"Write solve({variable}), where {variable} is {DESCRIPTION[takes]}: {steps}. Return the result."


def _fill(template: str, parameter: int | None) -> str:
    return template if parameter is None else template.replace("{k}", str(parameter))
