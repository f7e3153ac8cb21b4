"""A fingerprint in place of a result too large to send: a million numbers, a string of megabytes.

In: a value. Out: an integer such that equal values have equal ones (1, 1.0 and True are equal). Both the reference's
results and a program's are taken inside the sandbox, under one hash seed, so only the fingerprints have to travel.
It needs no cryptography: whoever would forge it would have to know the expected value, which is never inside.
Standard library only.
"""

from itertools import chain
from typing import Any

LARGE = 16_384  # items of a container and of what it holds, or characters
_SCALARS = {bool, int, float, complex, type(None), str, bytes}


def is_large(value: Any) -> bool:
    """Whether only the fingerprint of a result is to be sent; the same for equal values."""
    kind = type(value)
    if kind in (str, bytes, dict, set, frozenset):
        return len(value) > LARGE
    if kind not in (list, tuple):
        return False
    size = len(value)
    return size > LARGE or size + sum(len(v) for v in value if type(v) in (str, bytes, list, tuple, dict)) > LARGE


def fingerprint(value: Any) -> int:
    """The fingerprint.

    Raises:
        TypeError: A value inside is neither plain nor hashable.
        RecursionError: Nested too deeply.
    """
    kind = type(value)
    if kind in _SCALARS:
        return hash((value, value == -1))  # Python gives -1 and -2 one hash
    if kind in (list, tuple):
        kinds = set(map(type, value))
        if kinds <= _SCALARS:
            items = tuple(value)
            return hash((kind.__name__, items, items.count(-1)))
        if kinds == {list} or kinds == {tuple}:  # rows, the usual large result: without a Python call for each
            items = tuple(chain.from_iterable(value))
            if set(map(type, items)) <= _SCALARS:
                lengths = tuple(map(len, value))
                return hash((kind.__name__, kinds.pop().__name__, items, lengths, items.count(-1)))
        return hash((kind.__name__, tuple(map(fingerprint, value))))
    if kind in (set, frozenset):
        return hash(("set", frozenset(map(fingerprint, value))))
    if kind is dict:
        return hash(("dict", frozenset((fingerprint(k), fingerprint(v)) for k, v in value.items())))
    return hash(value)
