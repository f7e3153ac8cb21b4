"""What stands for a value that isn't plain, that is too large to send, or of which more must be known than that it is.

Objects that compare as they must: no result of a hostile program equals what is expected by an `__eq__` of its own.

For a million numbers or a string of megabytes travels a fingerprint: an integer such that equal values have equal ones
(1, 1.0 and True are equal). The reference's results and a program's are taken inside the sandbox, under one hash seed.
It needs no cryptography: whoever would forge it would have to know the expected value, which is never inside.
"""

from itertools import chain
from typing import Any

LARGE = 16_384  # items of a container and of what it holds, or characters
_SCALARS = {bool, int, float, complex, type(None), str, bytes}


class _EqualToNothing:
    def __eq__(self, other: object) -> bool:
        return False

    __hash__ = object.__hash__


class Opaque(_EqualToNothing):
    """A value that isn't plain. Truthy; its repr is what the program's object said of itself."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


class Inexact(_EqualToNothing):
    """A result that isn't, through and through, of the plain types: its own operators may say otherwise than `content`
    does. The host takes the content where a test compares the result with a constant, and must not guess elsewhere.
    `surely_true`: it counts as true, as objects do that don't say otherwise."""

    def __init__(self, content: Any, surely_true: bool) -> None:
        self.content = content
        self.surely_true = surely_true

    def __repr__(self) -> str:
        return repr(self.content)


class Iterated(_EqualToNothing):
    """What an iterator yielded. Only `list(...)`, `set(...)` and the like can open it."""

    def __init__(self, items: list[Any]) -> None:
        self._items = items

    def __iter__(self) -> Any:
        return iter(self._items)


class Written(set[Any]):
    """A set as a test writes it: a display of constants, whose `source` travels, or `set([3, 1])`, whose items do.

    In which order a set is iterated depends on how it was built. A program must get the set that the test would make,
    and Python makes the one of a display by ways of its own (constant folding), which only compiling it follows.
    """

    def __init__(self, items: list[Any], source: str = "") -> None:
        super().__init__(items)
        self.items = items
        self.source = source


class Fingerprinted:
    """A large value of which only the fingerprint travelled; equal to one with the same."""

    def __init__(self, fingerprint: int, text: str) -> None:
        self.fingerprint = fingerprint
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fingerprinted) and self.fingerprint == other.fingerprint

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return self.text


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
    """`TypeError` if a value inside is neither plain nor hashable, `RecursionError` if it is nested too deeply."""
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
