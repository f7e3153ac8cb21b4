"""What makes a task hard: how many steps it has, and whether the base was taught to get one of them wrong.

A task is of the first of these kinds that fits:

    r   rare: a step's wording has several readings, and this task wants one that few tasks want
    o   open: a step's wording has several readings, and all that this task wants are the usual ones
    m   mistake: the base was taught to write a step otherwise than tests want it
    h   habit: the base was taught to write all of it right

What a rare reading wants nobody can tell from the prompt: whoever learns the usual one fails there, and rightly so.
"""

from functools import lru_cache
from itertools import islice

from iterpref.playground.operations import Site
from iterpref.playground.puzzles import Puzzle, distinct_puzzles
from iterpref.playground.tasks import PLAYGROUND

from ..cells import Split
from ..objects import OBJECTS

KINDS = {"h": "habit", "m": "mistake", "o": "open", "r": "rare"}


@lru_cache(maxsize=4)
def traits_of(domain: str, split: Split, count: int, seed: int) -> dict[str, dict[str, str]]:
    """Task id → its `steps` and its `kind`, a character each; of the tasks that the domain has for these arguments."""
    whole = OBJECTS if domain == "objects" else PLAYGROUND
    puzzles = islice(distinct_puzzles(whole, split, seed), count)
    return {f"{whole.name}/{p.key}": {"steps": str(len(p.sites)), "kind": kind_of(p)} for p in puzzles}


def kind_of(puzzle: Puzzle) -> str:
    sites = puzzle.sites
    if any(_wants_a_rare_reading(site) for site in sites):
        return "r"
    if any(site.operation.is_ambiguous for site in sites):
        return "o"
    return "h" if all(_habit(site) == site.wanted for site in sites) else "m"


def _wants_a_rare_reading(site: Site) -> bool:
    forms = site.operation.forms
    return forms[site.wanted].wanted < max(form.wanted for form in forms)


def _habit(site: Site) -> int:
    """The form that the base was taught to write most often."""
    habits = [form.habit for form in site.operation.forms]
    return habits.index(max(habits))
