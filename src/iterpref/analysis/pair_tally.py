"""Pairs, counted as they stream by: the funnel of the filters, origins of kept ones, which are close to benchmarks.

One pass over the pairs serves the file that is written of them, its card, and what a command says.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Self

from iterpref.records import PreferencePair


@dataclass(frozen=True)
class FilterRow:
    """One filter: pairs that reached it, that it dropped, that were left, and its reasons with their counts."""

    name: str
    entered: int
    dropped: int
    left: int
    reasons: Counter[str] = field(default_factory=Counter)


class PairTally:
    """What is known of all pairs seen so far. `contamination`: (pair id, which benchmark tasks it is close to)."""

    def __init__(self) -> None:
        self.pairs = 0
        self.kept = 0
        self.origins: set[str] = set()
        self.contamination: list[tuple[str, str]] = []
        self._entered: Counter[str] = Counter()  # keeps the order of first sight, which is the filters' order
        self._reasons: dict[str, Counter[str]] = {}

    @classmethod
    def of(cls, pairs: Iterable[PreferencePair]) -> Self:
        tally = cls()
        for pair in pairs:
            tally.add(pair)
        return tally

    def kept_of(self, pairs: Iterable[PreferencePair]) -> Iterator[PreferencePair]:
        """The kept ones of these pairs, all of which are counted on the way."""
        for pair in pairs:
            self.add(pair)
            if pair.kept:
                yield pair

    def add(self, pair: PreferencePair) -> None:
        self.pairs += 1
        if pair.kept:
            self.kept += 1
            self.origins.add(pair.origin)
        alive = True
        for verdict in pair.filters:
            self._entered[verdict.name] += alive
            if alive and not verdict.kept:
                self._reasons.setdefault(verdict.name, Counter())[verdict.reason] += 1
                alive = False
            if verdict.name == "contamination" and verdict.reason:
                self.contamination.append((pair.pair_id, verdict.reason))

    @property
    def funnel(self) -> list[FilterRow]:
        """What each filter dropped, in the order in which they check; a pair goes at the first that rejects it."""
        rows = []
        for name, entered in self._entered.items():
            reasons = self._reasons.get(name, Counter())
            rows.append(FilterRow(name, entered, reasons.total(), entered - reasons.total(), reasons))
        return rows
