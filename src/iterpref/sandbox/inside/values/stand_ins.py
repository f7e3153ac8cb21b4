"""What stands for a value that isn't plain, or of which more must be known than that it is.

In: what codec.py decodes, or what a test writes. Out: objects that compare as they must in a judgement: no result of a
hostile program equals what is expected by an `__eq__` of its own. Standard library only.
"""

from typing import Any


class Opaque:
    """A value that isn't plain. Truthy, equal to nothing; its repr is what the program's object said of itself."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return False

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return self.text


class Iterated:
    """What an iterator yielded. Only `list(...)`, `set(...)` and the like can open it; it equals nothing itself."""

    def __init__(self, items: list[Any]) -> None:
        self._items = items

    def __iter__(self) -> Any:
        return iter(self._items)

    def __eq__(self, other: object) -> bool:
        return False

    __hash__ = object.__hash__


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
    """A large value of which only a fingerprint travelled (fingerprints.py); equal to one with the same."""

    def __init__(self, fingerprint: int, text: str) -> None:
        self.fingerprint = fingerprint
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fingerprinted) and self.fingerprint == other.fingerprint

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return self.text
