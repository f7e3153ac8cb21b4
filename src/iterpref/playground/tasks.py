"""The playground's own domain: two to four operations in a row, on lists, strings, dicts and integers.

The operations are in lists.py and strings.py; how tasks get their tests and their split is said by puzzles.py.
"""

import random
from collections.abc import Sequence
from typing import Any

from iterpref.playground.domain import Domain, choose, pooled
from iterpref.playground.lists import LIST_OPERATIONS
from iterpref.playground.operations import INPUT_KINDS, Kind, Operation, Site, arrange, prompt
from iterpref.playground.puzzles import Split, tasks_of
from iterpref.playground.strings import DICT_OPERATIONS, STRING_OPERATIONS
from iterpref.records import Task

OPERATIONS: tuple[Operation, ...] = LIST_OPERATIONS + STRING_OPERATIONS + DICT_OPERATIONS
STEPS = {2: 0.4, 3: 0.42, 4: 0.18}
KIND_WEIGHTS: dict[Kind, float] = {"numbers": 0.42, "words": 0.22, "text": 0.2, "counts": 0.16}
PLAIN_WEIGHT, AMBIGUOUS_WEIGHT = 1.8, 1.4  # how much more often these operations are drawn than others
POOL_SIZE = 40  # the arguments that calls are chosen from


def playground_tasks(split: Split, count: int, seed: int = 0) -> list[Task]:
    """`count` distinct tasks of one split, the same for the same arguments on every machine."""
    return tasks_of(PLAYGROUND, split, count, seed)


def _draw(rng: random.Random) -> tuple[Site, ...] | None:
    length = rng.choices(list(STEPS), list(STEPS.values()))[0]
    kind = rng.choices(INPUT_KINDS, [KIND_WEIGHTS[k] for k in INPUT_KINDS])[0]
    sites: list[Site] = []
    for _ in range(length):
        used = {site.operation.name for site in sites}
        fitting = [op for op in OPERATIONS if op.takes == kind and op.name not in used]
        if not fitting:
            return None
        sites.append(choose(fitting, [_weight(op) for op in fitting], rng))
        kind = sites[-1].operation.gives
    return tuple(sites)


def _weight(operation: Operation) -> float:
    if operation.is_ambiguous:
        return AMBIGUOUS_WEIGHT
    return 1.0 if operation.misconceptions else PLAIN_WEIGHT


def _candidates(sites: Sequence[Site], rng: random.Random) -> list[Any]:
    """All are small: that keeps feedback short, and hits parameters, ties, duplicates and empty results often."""
    kind = sites[0].operation.takes
    edges: dict[Kind, list[Any]] = {
        "numbers": [[], [rng.randint(1, 5)], [-rng.randint(1, 5)]],
        "words": [[], [rng.choice("abc")], [""]],
        "text": ["", rng.choice("abc"), " "],
        "counts": [{}, {"a": rng.randint(1, 4)}, {"b": 0}],
    }
    return pooled(edges[kind], POOL_SIZE, lambda: _random_value(kind, rng))


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


PLAYGROUND = Domain("playground", OPERATIONS, _draw, arrange, prompt, _candidates)
