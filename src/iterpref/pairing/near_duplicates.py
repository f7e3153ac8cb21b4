"""Is a pair nearly the same as one seen before, in this run or in another? MinHash over the tokens of both programs.

Similarity is the Jaccard index of the two sets of five tokens in a row, estimated by 128 hashes (Broder 1997).
"""

import re

from datasketch import MinHash, MinHashLSH

from iterpref.programs import code_of
from iterpref.records import PreferencePair

PERMUTATIONS = 128
SHINGLE = 5
_TOKEN = re.compile(r"\w+|[^\w\s]")


class NearDuplicates:
    """Remembers pairs; a pair at least this similar to a remembered one is a duplicate of it."""

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._index = MinHashLSH(threshold=threshold, num_perm=PERMUTATIONS)
        self._hashes: dict[str, MinHash] = {}

    def first_like(self, pair: PreferencePair, name: str = "") -> str | None:
        """The name of an earlier pair like this one; None, and remembered, if there is none."""
        name = name or pair.pair_id
        sketch = _sketch(pair)
        for candidate in sorted(self._index.query(sketch)):
            if sketch.jaccard(self._hashes[candidate]) >= self._threshold:
                return str(candidate)
        if name not in self._hashes:
            self._index.insert(name, sketch)
            self._hashes[name] = sketch
        return None


def _sketch(pair: PreferencePair) -> MinHash:
    sketch = MinHash(num_perm=PERMUTATIONS, seed=1)
    for side, text in (("+", pair.chosen), ("-", pair.rejected)):
        tokens = _TOKEN.findall(code_of(text))
        shingles = {
            f"{side} {' '.join(tokens[start : start + SHINGLE])}" for start in range(max(1, len(tokens) - SHINGLE + 1))
        }
        sketch.update_batch([shingle.encode() for shingle in sorted(shingles)])
    return sketch
