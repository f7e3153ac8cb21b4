"""Tasks of a domain: compositions without repeats, with tests from the reference that catch every other form.

The split follows a hash of the *signature*, the ordered names of a task's operations: parameters and readings don't
enter it, so no composition of `held_out` is seen elsewhere. (Its single steps are, and a short composition may occur
inside a longer one.) Not here: the programs that get them wrong (drafts.py).
"""

import hashlib
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from iterpref.playground.domain import Domain
from iterpref.playground.operations import Site
from iterpref.playground.trials import CallOutcome, outcomes
from iterpref.records import Task, TestFile, fingerprint

Split = Literal["pretraining", "train", "validation", "held_out"]
SPLIT_TENTHS: dict[Split, int] = {"pretraining": 4, "train": 3, "validation": 1, "held_out": 2}
MAX_SHOWN_CHARS = 60  # of an expected value: what a model reads in feedback stays short
CALLS = (8, 12)


@dataclass(frozen=True)
class Puzzle:
    """A task before it is a record: its sites, and calls with what the reference gives for each."""

    domain: Domain
    sites: tuple[Site, ...]
    arguments: tuple[Any, ...]
    expected: tuple[CallOutcome, ...]

    @property
    def signature(self) -> tuple[str, ...]:
        return tuple(site.operation.name for site in self.sites)

    @property
    def wanted(self) -> list[int]:
        return [site.wanted for site in self.sites]

    @property
    def prompt(self) -> str:
        return self.domain.prompt(self.sites)

    @property
    def reference(self) -> str:
        return self.domain.program(self.sites, self.wanted, [0] * len(self.sites))

    @property
    def key(self) -> str:
        """Identity of the task: operations, parameters and readings."""
        return fingerprint([[s.operation.name, s.parameter, s.wanted] for s in self.sites])


def tasks_of(domain: Domain, split: Split, count: int, seed: int) -> list[Task]:
    """`count` distinct tasks of one split, the same for the same arguments on every machine."""
    puzzles = distinct_puzzles(domain, split, seed)
    return [as_task(next(puzzles), split) for _ in range(count)]


def distinct_puzzles(domain: Domain, split: Split, seed: int) -> Iterator[Puzzle]:
    """An endless stream of tasks of one split without repeats; another seed is another stream."""
    rng = random.Random(f"{split}/{seed}")
    seen: set[str] = set()
    while True:
        sites = domain.draw(rng)
        if not sites or split_of(tuple(site.operation.name for site in sites)) != split:
            continue
        puzzle = _with_tests(domain, sites, rng)
        if puzzle and puzzle.key not in seen:
            seen.add(puzzle.key)
            yield puzzle


def split_of(signature: tuple[str, ...]) -> Split:
    """40 % pretraining, 30 % train, 10 % validation, 20 % held out, by the signature's hash alone."""
    digest = hashlib.sha256("/".join(signature).encode()).hexdigest()
    tenths = [split for split, share in SPLIT_TENTHS.items() for _ in range(share)]
    return tenths[int(digest[:8], 16) % len(tenths)]


def as_task(puzzle: Puzzle, split: Split) -> Task:
    """The puzzle as a record: one call a line, arguments and expected values as Python literals."""
    lines = [
        json.dumps({"args": f"({argument!r},)", "expected": expected.shown})
        for argument, expected in zip(puzzle.arguments, puzzle.expected, strict=True)
    ]
    return Task(
        task_id=f"{puzzle.domain.name}/{puzzle.key}",
        prompt=puzzle.prompt,
        tests=(TestFile(path="calls.jsonl", content="\n".join(lines) + "\n"),),
        style="calls",
        entry_point="solve",
        reference=puzzle.reference,
        limits=puzzle.domain.limits,
        split=split,
        origin="/".join(puzzle.signature),
        license="Apache-2.0",
    )


def _with_tests(domain: Domain, sites: tuple[Site, ...], rng: random.Random) -> Puzzle | None:
    """Choose calls that catch each site's other forms where any candidate does; None for a dull task."""
    pool = domain.candidates(sites, rng)
    right = [site.wanted for site in sites]
    expected = outcomes(domain.program(sites, right, [0] * len(sites)), pool)
    usable = [i for i, e in enumerate(expected) if not e.raised and len(e.shown) <= MAX_SHOWN_CHARS]
    if len(usable) < CALLS[0] or len({expected[i].shown for i in usable}) < 3:
        return None
    chosen = set(usable[:3])  # the pool starts with the edge cases
    for caught in _catching_calls(Puzzle(domain, sites, tuple(pool), tuple(expected)), usable):
        if caught and not chosen & set(caught):
            chosen.add(rng.choice(caught))
    rest = [i for i in usable if i not in chosen]
    size = max(len(chosen), rng.randint(*CALLS))
    chosen |= set(rng.sample(rest, min(len(rest), size - len(chosen))))
    order = sorted(chosen, key=lambda i: (len(repr(pool[i])), i))  # the first failure is shown: keep it short
    return Puzzle(domain, sites, tuple(pool[i] for i in order), tuple(expected[i] for i in order))


def _catching_calls(puzzle: Puzzle, usable: list[int]) -> Iterator[list[int]]:
    """For each other form of each site, the calls whose outcome it changes."""
    right = puzzle.wanted
    for place, site in enumerate(puzzle.sites):
        for form in range(len(site.operation.forms)):
            if form != right[place]:
                changed = [*right[:place], form, *right[place + 1 :]]
                program = puzzle.domain.program(puzzle.sites, changed, [0] * len(right))
                got = outcomes(program, puzzle.arguments)
                yield [i for i in usable if not got[i].same(puzzle.expected[i])]
