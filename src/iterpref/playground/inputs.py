"""Arguments to test a playground program with: edge cases first, then random ones, all small.

Small values keep feedback short, and hit parameters, ties, duplicates and empty results often.
"""

import random
from typing import Any

from iterpref.playground.operations import Kind

POOL_SIZE = 40


def candidates(kind: Kind, rng: random.Random) -> list[Any]:
    """`POOL_SIZE` distinct arguments of one kind; the empty one and the single-element ones come first."""
    edges: dict[Kind, list[Any]] = {
        "numbers": [[], [rng.randint(1, 5)], [-rng.randint(1, 5)]],
        "words": [[], [rng.choice("abc")], [""]],
        "text": ["", rng.choice("abc"), " "],
        "counts": [{}, {"a": rng.randint(1, 4)}, {"b": 0}],
    }
    pool = list(edges[kind])
    seen = {repr(value) for value in pool}
    while len(pool) < POOL_SIZE:
        value = _random_value(kind, rng)
        if repr(value) not in seen:
            seen.add(repr(value))
            pool.append(value)
    return pool


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
