"""What people said of pairs, in numbers: how many they accept, and how often they and the judge say the same.

In: marks with the judge's words. Out: shares with Wilson's intervals, which hold for what the pairs were drawn from.
The paper reads 100 samples by hand (arXiv:2503.02783, appendix).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from iterpref.records import Word
from iterpref.statistics import wilson


@dataclass(frozen=True)
class Share:
    """`count` of `of`, and the 95 % interval of the share."""

    count: int
    of: int
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Agreement:
    """Reviewed pairs: those accepted, those on which the judge says the same, and the two ways to differ.

    A judge says whether the difference is logical. A person who accepts a pair says so, too, and one who rejects it may
    have other reasons. None where nobody reviewed, or none of these was judged.
    """

    accepted: Share | None
    agreeing: Share | None
    accepted_but_cosmetic: int
    rejected_but_logical: int


def agreement(reviewed: Iterable[tuple[Word, bool | None]]) -> Agreement:
    """Of pairs that have a mark, with the judge's word on them: logical, cosmetic (False), or not judged (None)."""
    marked = [(word == "accept", logical) for word, logical in reviewed if word]
    judged = [(accepted, logical) for accepted, logical in marked if logical is not None]
    return Agreement(
        accepted=_share(sum(accepted for accepted, _ in marked), len(marked)),
        agreeing=_share(sum(accepted == logical for accepted, logical in judged), len(judged)),
        accepted_but_cosmetic=sum(accepted and not logical for accepted, logical in judged),
        rejected_but_logical=sum(logical and not accepted for accepted, logical in judged),
    )


def _share(count: int, of: int) -> Share | None:
    return Share(count, of, round(count / of, 4), *(round(end, 4) for end in wilson(count, of))) if of else None
