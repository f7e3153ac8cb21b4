"""The second domain: programs of a class, helper functions and a loop over records.

In: split, count, seed. Out: tasks of the same contract as the playground's. How parts become a program: parts.py.
"""

import random
from collections.abc import Sequence
from typing import Any

from benchmarks.lab.objects.boxes import ADDS, STATES, VALUES
from benchmarks.lab.objects.parts import DESCRIPTION, RESULT, arrange, prompt
from benchmarks.lab.objects.reports import GROUPS, REPORTS
from benchmarks.lab.objects.rows import READ, WALKS

from iterpref.playground.domain import Domain, choose, pooled
from iterpref.playground.operations import Operation, Site
from iterpref.playground.puzzles import Split, tasks_of
from iterpref.records import Limits, Task

PARTS: tuple[Operation, ...] = READ + STATES + ADDS + VALUES + WALKS + GROUPS + REPORTS
POOL_SIZE = 40  # the arguments that calls are chosen from
# How often a part is drawn, 1 if it isn't said here: a program has seven, and should have one or two faults, not five.
OFTEN = {"walk_all": 10.0, "by_name": 5.0, "from_zero": 2.0, "from_empty": 2.0}
PLAIN_WEIGHT, AMBIGUOUS_WEIGHT = 2.5, 2.0
MAX_LINES = 35
# A call takes well under a millisecond; what is endless should not cost seconds.
LIMITS = Limits(call_cpu_s=0.1)


def objects_tasks(split: Split, count: int, seed: int = 0) -> list[Task]:
    """`count` distinct tasks of one split, the same for the same arguments on every machine."""
    return tasks_of(OBJECTS, split, count, seed)


def _draw(rng: random.Random) -> tuple[Site, ...] | None:
    """A random composition, or None when it is too long to read."""
    sites: list[Site] = []
    kind = rng.choice(list(DESCRIPTION))
    while kind != RESULT:
        fitting = [part for part in PARTS if part.takes == kind]
        sites.append(choose(fitting, [_weight(part) for part in fitting], rng))
        kind = sites[-1].operation.gives
    lines = arrange(sites, [site.lines(site.wanted) for site in sites]).count("\n") + 1
    return tuple(sites) if lines <= MAX_LINES else None


def _weight(part: Operation) -> float:
    usual = AMBIGUOUS_WEIGHT if part.is_ambiguous else 1.0 if part.misconceptions else PLAIN_WEIGHT
    return OFTEN.get(part.name, usual)


def _candidates(sites: Sequence[Site], rng: random.Random) -> list[Any]:
    """Few rows of few names and small amounts: short feedback, and ties, repeats and empty boxes are common."""
    kind = sites[0].operation.takes
    edges = [[], [_row(kind, rng, whole=True)], [_row(kind, rng, whole=False)]]
    return pooled(edges, POOL_SIZE, lambda: _rows(kind, rng))


def _rows(kind: str, rng: random.Random) -> list[Any]:
    rows = [_row(kind, rng, whole=rng.random() < 0.8) for _ in range(rng.randint(1, 4))]
    if rng.random() < 0.25:  # neighbours that are equal
        rows.insert(1, rows[0])
    return rows


def _row(kind: str, rng: random.Random, whole: bool) -> Any:
    """A row; one that isn't `whole` lacks its amount, or is empty."""
    name = rng.choice("aaabbcB") if rng.random() < 0.94 else ""
    amount = rng.choice((0, rng.randint(-3, 6), rng.randint(1, 9), rng.randint(1, 9), rng.randint(10, 25)))
    match kind:
        case "dicts":
            return {"name": name, "amount": amount} if whole else {"name": name}
        case "pairs":
            return (name, amount)
        case "ragged":
            return (name, amount) if whole else (name,)
        case "long":
            return (name, *(rng.randint(-3, 9) for _ in range(rng.randint(1, 2)))) if whole else (name,)
        case "lines":
            return f"{name} {amount}" if whole else rng.choice((name, f"{name} x", ""))
        case _:
            return "".join(rng.choice("aabbc") for _ in range(rng.randint(1, 4))) if whole else ""


OBJECTS = Domain("objects", PARTS, _draw, arrange, prompt, _candidates, limits=LIMITS, forgets_lines=True)
