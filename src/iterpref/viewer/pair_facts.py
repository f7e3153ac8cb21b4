"""A run's pairs, read once → the funnel of filters, sizes of differences, and which pairs are good to look at."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from iterpref.analysis.distributions import Distribution, differences
from iterpref.analysis.funnel import PairTally
from iterpref.records import PreferencePair
from iterpref.store import Store

MOST_OF_A_KIND = 5
_Size = tuple[bool, int, int, str, str]


@dataclass
class PairFacts:
    """Of all pairs; `debugged` counts kept ones of debugging.

    `smallest`: kind of failure → the kept pairs with the smallest differences, as (…, id, task); `kinds` counts all.
    """

    tally: PairTally = field(default_factory=PairTally)
    differences: list[Distribution] = field(default_factory=list)
    debugged: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    smallest: dict[str, list[_Size]] = field(default_factory=dict)

    @classmethod
    def of(cls, store: Store) -> "PairFacts":
        found = cls()
        found.differences = differences(found._kept(store))
        return found

    def _kept(self, store: Store) -> Iterator[PreferencePair]:
        """The kept pairs, noted on the way."""
        for pair in self.tally.kept_of(store.pairs()):
            kind = pair.error_type
            self.debugged += pair.origin == "debugging"
            self.kinds[kind] += 1
            self.smallest[kind] = sorted([*self.smallest.get(kind, ()), _size(pair)])[:MOST_OF_A_KIND]
            yield pair


def _size(pair: PreferencePair) -> _Size:
    """By which pairs are ordered: those without a wrong line last."""
    lines = len(pair.rejected_spans) + len(pair.chosen_spans)
    return not pair.rejected_spans, lines, len(pair.rejected) + len(pair.chosen), pair.pair_id, pair.task_id
