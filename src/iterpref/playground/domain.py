"""What sets the tasks of one laboratory apart from those of another: its parts, how they make a program, its inputs.

The playground has one domain (tasks.py). Whoever has another one gets puzzles.py, drafts.py, corpus.py and pretrain.py
with it: tasks with tests, programs by habit with what their tests say, conversations, a coder.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from iterpref.playground.operations import Operation, Site
from iterpref.records import Limits


@dataclass(frozen=True)
class Domain:
    """`name` begins the ids of its tasks; `limits` are those of their executions.

    `draw` gives a random composition, or None when it runs dry. `arrange` makes a program of its sites' lines, `prompt`
    words them. `candidates` gives distinct arguments of `solve`, made of literals, edge cases first. With
    `forgets_lines` a slip can also be one line missing from a part of several lines.
    """

    name: str
    operations: tuple[Operation, ...]
    draw: Callable[[random.Random], tuple[Site, ...] | None]
    arrange: Callable[[Sequence[Site], Sequence[Sequence[str]]], str]
    prompt: Callable[[Sequence[Site]], str]
    candidates: Callable[[Sequence[Site], random.Random], list[Any]]
    limits: Limits = field(default_factory=Limits)
    forgets_lines: bool = False

    def program(self, sites: Sequence[Site], forms: Sequence[int], spellings: Sequence[int]) -> str:
        """The program with the given form and spelling at each site, without a final newline."""
        lines = [site.lines(form, spelling) for site, form, spelling in zip(sites, forms, spellings, strict=True)]
        return self.arrange(sites, lines)


def choose(fitting: Sequence[Operation], weights: Sequence[float], rng: random.Random) -> Site:
    """One of the operations by its weight, at its place."""
    return placed(rng.choices(fitting, weights)[0], rng)


def placed(operation: Operation, rng: random.Random) -> Site:
    """The operation with a form that tests want, drawn by how often they do, and a parameter."""
    wanted = rng.choices(range(len(operation.forms)), [form.wanted for form in operation.forms])[0]
    return Site(operation, rng.choice(operation.parameters) if operation.parameters else None, wanted)


def pooled(edges: Sequence[Any], size: int, draw: Callable[[], Any]) -> list[Any]:
    """`size` distinct values: the edges first, then drawn ones."""
    pool = {repr(value): value for value in edges}
    while len(pool) < size:
        value = draw()
        pool.setdefault(repr(value), value)
    return list(pool.values())
