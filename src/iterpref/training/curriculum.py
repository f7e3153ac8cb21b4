"""The order of an epoch by kinds of failure: one kind after the other, with some of the earlier ones again.

After AP2O (arXiv:2510.02393), which optimises one type of error after the other, the frequent first for small models.
Its replay follows the errors that the model in training makes on validation tasks; this one draws evenly from the
kinds that went before. Not here: what a batch may hold (batching.py).
"""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

Batches = list[list[int]]


class Curriculum:
    """Stages of batches, one per kind; a prompt's pairs stay together, under the most frequent kind among them.

    Args:
        kinds: The kind of failure of each row.
        frequent_first: Else the rare ones.
        replay: How many batches of earlier stages are mixed into each stage, as a share of its own, rounded up.
    """

    def __init__(self, kinds: Sequence[str], frequent_first: bool, replay: float) -> None:
        self._kinds = kinds
        self._replay = replay
        counts = Counter(kinds)
        self._order = sorted(counts, key=lambda kind: (-counts[kind] if frequent_first else counts[kind], kind))
        self._sizes: list[int] = []

    def stages(self, groups: Iterable[list[int]]) -> list[Batches]:
        """Groups of row numbers, each in its stage."""
        stages: dict[str, Batches] = {kind: [] for kind in self._order}
        for group in groups:
            own = Counter(self._kinds[row] for row in group)
            stages[min(own, key=lambda kind: (-own[kind], self._order.index(kind)))].append(group)
        return [stage for stage in stages.values() if stage]

    def begin(self, stages: Sequence[Batches]) -> Batches:
        """The stages' batches in one list, which `order` indexes."""
        self._sizes = [len(stage) for stage in stages]
        return [batch for stage in stages for batch in stage]

    @property
    def length(self) -> int:
        """Batches of an epoch, repeated ones included."""
        return sum(self._sizes) + sum(map(self._repeats, range(len(self._sizes))))

    def order(self, draw: np.random.Generator) -> list[int]:
        """Indices of an epoch's batches."""
        found: list[int] = []
        for stage, size in enumerate(self._sizes):
            before = sum(self._sizes[:stage])
            again = self._repeats(stage)
            repeated = draw.choice(before, again, replace=again > before) if again else np.array([], dtype=int)
            found += [int(at) for at in draw.permutation([*range(before, before + size), *repeated])]
        return found

    def _repeats(self, stage: int) -> int:
        return int(np.ceil(self._replay * self._sizes[stage])) if stage else 0
