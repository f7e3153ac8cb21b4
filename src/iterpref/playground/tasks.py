"""Procedural tasks: two to four operations in a row, worded as a prompt, with tests from the reference.

The split follows a hash of the *signature*, the ordered names of a task's operations: parameters and readings don't
enter it, so no composition of `held_out` is seen elsewhere. (Its single steps are, and a short composition may occur
inside a longer one.) Not here: the programs that get them wrong (corpus.py).
"""

import hashlib
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from iterpref.playground.lists import LIST_OPERATIONS
from iterpref.playground.operations import INPUT_KINDS, Kind, Operation, Site, program, prompt
from iterpref.playground.strings import DICT_OPERATIONS, STRING_OPERATIONS
from iterpref.playground.trials import CallOutcome, outcomes
from iterpref.records import Task, TestFile, fingerprint

Split = Literal["pretraining", "train", "validation", "held_out"]
SPLIT_TENTHS: dict[Split, int] = {"pretraining": 4, "train": 3, "validation": 1, "held_out": 2}
OPERATIONS: tuple[Operation, ...] = LIST_OPERATIONS + STRING_OPERATIONS + DICT_OPERATIONS
STEPS = {2: 0.4, 3: 0.42, 4: 0.18}
KIND_WEIGHTS: dict[Kind, float] = {"numbers": 0.42, "words": 0.22, "text": 0.2, "counts": 0.16}
PLAIN_WEIGHT, AMBIGUOUS_WEIGHT = 1.8, 1.4  # how much more often these operations are drawn than others
MAX_SHOWN_CHARS = 60  # of an expected value: what a model reads in feedback stays short
CALLS = (8, 12)
POOL_SIZE = 40  # the arguments that calls are chosen from


@dataclass(frozen=True)
class Puzzle:
    """A task before it is a record: its sites, and calls with what the reference gives for each."""

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
    def reference(self) -> str:
        return program(self.sites, self.wanted, [0] * len(self.sites))

    @property
    def key(self) -> str:
        """Identity of the task: operations, parameters and readings."""
        return fingerprint([[s.operation.name, s.parameter, s.wanted] for s in self.sites])


def playground_tasks(split: Split, count: int, seed: int = 0) -> list[Task]:
    """`count` distinct tasks of one split, the same for the same arguments on every machine."""
    puzzles = distinct_puzzles(split, seed)
    return [as_task(next(puzzles), split) for _ in range(count)]


def distinct_puzzles(split: Split, seed: int) -> Iterator[Puzzle]:
    """An endless stream of tasks of one split without repeats; another seed is another stream."""
    rng = random.Random(f"{split}/{seed}")
    seen: set[str] = set()
    while True:
        sites = _draw_sites(rng, split)
        puzzle = _with_tests(sites, rng) if sites else None
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
        task_id=f"playground/{puzzle.key}",
        prompt=prompt(puzzle.sites),
        tests=(TestFile(path="calls.jsonl", content="\n".join(lines) + "\n"),),
        style="calls",
        entry_point="solve",
        reference=puzzle.reference,
        split=split,
        origin="/".join(puzzle.signature),
        license="Apache-2.0",
    )


def _draw_sites(rng: random.Random, split: Split) -> tuple[Site, ...] | None:
    """A random composition, or None when it has another split or runs dry."""
    length = rng.choices(list(STEPS), list(STEPS.values()))[0]
    kind = rng.choices(INPUT_KINDS, [KIND_WEIGHTS[k] for k in INPUT_KINDS])[0]
    sites: list[Site] = []
    for _ in range(length):
        used = {site.operation.name for site in sites}
        fitting = [op for op in OPERATIONS if op.takes == kind and op.name not in used]
        if not fitting:
            return None
        operation = rng.choices(fitting, [_weight(op) for op in fitting])[0]
        wanted = rng.choices(range(len(operation.forms)), [form.wanted for form in operation.forms])[0]
        parameter = rng.choice(operation.parameters) if operation.parameters else None
        sites.append(Site(operation, parameter, wanted))
        kind = operation.gives
    return tuple(sites) if split_of(tuple(s.operation.name for s in sites)) == split else None


def _weight(operation: Operation) -> float:
    if operation.is_ambiguous:
        return AMBIGUOUS_WEIGHT
    return 1.0 if operation.misconceptions else PLAIN_WEIGHT


def _with_tests(sites: tuple[Site, ...], rng: random.Random) -> Puzzle | None:
    """Choose calls that catch each site's other forms where any candidate does; None for a dull task."""
    pool = _candidates(sites[0].operation.takes, rng)
    right = [site.wanted for site in sites]
    expected = outcomes(program(sites, right, [0] * len(sites)), pool)
    usable = [i for i, e in enumerate(expected) if not e.raised and len(e.shown) <= MAX_SHOWN_CHARS]
    if len(usable) < CALLS[0] or len({expected[i].shown for i in usable}) < 3:
        return None
    chosen = set(usable[:3])  # the pool starts with the edge cases
    for caught in _catching_calls(sites, right, pool, expected, usable):
        if caught and not chosen & set(caught):
            chosen.add(rng.choice(caught))
    rest = [i for i in usable if i not in chosen]
    size = max(len(chosen), rng.randint(*CALLS))
    chosen |= set(rng.sample(rest, min(len(rest), size - len(chosen))))
    order = sorted(chosen, key=lambda i: (len(repr(pool[i])), i))  # the first failure is shown: keep it short
    return Puzzle(sites, tuple(pool[i] for i in order), tuple(expected[i] for i in order))


def _candidates(kind: Kind, rng: random.Random) -> list[Any]:
    """`POOL_SIZE` distinct arguments: edge cases first, then random ones.

    All are small: that keeps feedback short, and hits parameters, ties, duplicates and empty results often.
    """
    edges: dict[Kind, list[Any]] = {
        "numbers": [[], [rng.randint(1, 5)], [-rng.randint(1, 5)]],
        "words": [[], [rng.choice("abc")], [""]],
        "text": ["", rng.choice("abc"), " "],
        "counts": [{}, {"a": rng.randint(1, 4)}, {"b": 0}],
    }
    pool = {repr(value): value for value in edges[kind]}
    while len(pool) < POOL_SIZE:
        value = _random_value(kind, rng)
        pool.setdefault(repr(value), value)
    return list(pool.values())


def _random_value(kind: Kind, rng: random.Random) -> Any:
    size = rng.randint(1, 5)
    if kind == "numbers":
        values = [rng.randint(-4, 6) for _ in range(size)]
        if size > 1 and rng.random() < 0.5:  # neighbours that are equal
            values[1] = values[0]
        return values
    if kind == "words":
        words = [_word(rng) for _ in range(size)]
        return [*words, rng.choice(words)] if rng.random() < 0.4 else words
    if kind == "text":
        return " ".join(_word(rng) for _ in range(rng.randint(1, 3)))
    return {key: rng.randint(-2, 5) for key in rng.sample(["a", "b", "c", "A", "d"], min(size, 4))}


def _word(rng: random.Random) -> str:
    """At most four letters out of a few, sometimes none or a capital first: ties and repeats are common."""
    if rng.random() < 0.12:
        return ""
    letters = "".join(rng.choice("aabbcde") for _ in range(rng.randint(1, 4)))
    return letters.capitalize() if rng.random() < 0.25 else letters


def _catching_calls(
    sites: tuple[Site, ...], right: list[int], pool: list[Any], expected: list[CallOutcome], usable: list[int]
) -> Iterator[list[int]]:
    """For each other form of each site, the calls whose outcome it changes."""
    for place, site in enumerate(sites):
        for form in range(len(site.operation.forms)):
            if form != right[place]:
                changed = [*right[:place], form, *right[place + 1 :]]
                got = outcomes(program(sites, changed, [0] * len(sites)), pool)
                yield [i for i in usable if not got[i].same(expected[i])]
