"""Rows that begin alike → one packed row in which every shared token stands once.

A causal model's hidden state at a token depends only on the tokens before it, so two rows have equal states up to
where they first differ. The first row of a group becomes the trunk; each later row adds a branch that starts at its
first token of its own and continues the positions of what stands before it. A row ends before its last token with
loss: what follows feeds nothing. Rows without loss take no part. One state may predict two tokens (the trunk's next one
and a branch's first one), so the states are picked by index, and no token is repeated for the sake of its label.
Pure bookkeeping: no model. Not here: who attends to whom (attention.py), log-probabilities (install.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

Ints = npt.NDArray[np.int64]
# A range [start, stop) of the packed row.
Range = tuple[int, int]

# Sharing fewer tokens than this (a BOS, the first words of a chat template) saves less than another branch costs.
MIN_SHARED = 16


@dataclass(frozen=True)
class Segment:
    """A run of tokens of its own: the trunk of a tree, or a branch.

    `prefix` says where in the packed row the tokens before it stand, in the order of their positions; a trunk has none.
    """

    start: int
    stop: int
    prefix: tuple[Range, ...] = ()

    @property
    def prefix_length(self) -> int:
        return sum(stop - start for start, stop in self.prefix)


@dataclass(frozen=True)
class TrunkLayout:
    """How a batch of R rows of width W becomes a packed row of T tokens with S predictions, and back.

    Attributes:
        input_ids: (1, T).
        position_ids: (1, T) the place of each token in its row; a branch goes on from where it leaves its prefix.
        segments: Trunks and branches; they cover the packed row, in order.
        picked: (S,) place in the packed row of the state behind each prediction.
        labels: (1, S) the token each prediction is about.
        source, target: (M,) value M of the R x (W - 1) per-token values is prediction `source[M]`, and stands at the
            flat place `target[M]`; the others are 0. M > S where rows share a token with loss.
        rows, width: R, and W - 1.
        row_tokens: Tokens of the rows before packing and before their tails were cut, padding left out.
    """

    input_ids: torch.Tensor
    position_ids: torch.Tensor
    segments: tuple[Segment, ...]
    picked: torch.Tensor
    labels: torch.Tensor
    source: torch.Tensor
    target: torch.Tensor
    rows: int
    width: int
    row_tokens: int
    # What attention.py derives once per layout and device, such as masks.
    derived: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def tokens(self) -> int:
        """T."""
        return self.input_ids.shape[1]

    @property
    def longest(self) -> int:
        """Tokens of the longest row, as far as it is run."""
        return max((s.prefix_length + s.stop - s.start for s in self.segments), default=0)

    def to(self, device: torch.device | str, non_blocking: bool = False, **_: Any) -> "TrunkLayout":
        """A copy on a device; accelerate calls this as it does on tensors."""
        moved = {
            name: getattr(self, name).to(device, non_blocking=non_blocking)
            for name in ("input_ids", "position_ids", "picked", "labels", "source", "target")
        }
        return replace(self, **moved, derived={})


@dataclass(frozen=True)
class _Placed:
    """A row in the packed row: its tokens up to the last that feeds a prediction, and where they stand."""

    ids: Ints
    path: tuple[Range, ...]


def plan_layout(ids: Sequence[Sequence[int]], loss: Sequence[Sequence[float]], width: int) -> TrunkLayout:
    """Pack rows; a later row hangs on the earlier one with which it shares the longest beginning.

    Args:
        ids: R rows of token ids without padding.
        loss: R rows: which tokens carry loss, by any number but 0. A row's first token has no prediction, so it never
            counts.
        width: The padded rows' width W.
    """
    tokens = [np.asarray(row, dtype=np.int64) for row in ids]
    placed: list[_Placed] = []
    segments: list[Segment] = []
    predictions = [np.empty((3, 0), dtype=np.int64)]
    for row, (all_ids, marks) in enumerate(zip(tokens, loss, strict=True)):
        predicted = np.flatnonzero(marks[1:]) + 1
        if len(predicted) == 0:
            continue
        placed.append(_place(all_ids[: predicted[-1]], placed, segments))
        states = _indices(placed[-1].path)[predicted - 1]
        predictions.append(np.stack([states, all_ids[predicted], row * (width - 1) + predicted - 1]))
    packed, positions = _pack(placed, segments[-1].stop if segments else 0)
    states, labels, target = np.concatenate(predictions, axis=1)
    # One prediction per (state, token), however many rows want it.
    unique, source = np.unique(np.stack([states, labels]), axis=1, return_inverse=True)
    return TrunkLayout(
        input_ids=torch.tensor(packed)[None],
        position_ids=torch.tensor(positions)[None],
        segments=tuple(segments),
        picked=torch.tensor(unique[0]),
        labels=torch.tensor(unique[1])[None],
        source=torch.tensor(source.reshape(-1)),
        target=torch.tensor(target),
        rows=len(tokens),
        width=width - 1,
        row_tokens=sum(map(len, tokens)),
    )


def _place(own: Ints, placed: Sequence[_Placed], segments: list[Segment]) -> _Placed:
    """Where a row stands; what it shares with no earlier row is added as a segment."""
    path, shared = _longest_beginning(own, placed)
    if shared < len(own):
        start = segments[-1].stop if segments else 0
        segments.append(Segment(start, start + len(own) - shared, path))
        path = (*path, (start, segments[-1].stop))
    return _Placed(own, path)


def _pack(placed: Sequence[_Placed], length: int) -> tuple[Ints, Ints]:
    """The packed row's tokens, and the place of each in the rows that hold it."""
    packed, positions = np.empty(length, dtype=np.int64), np.empty(length, dtype=np.int64)
    for row in placed:
        at = _indices(row.path)
        packed[at], positions[at] = row.ids, np.arange(len(row.ids))
    return packed, positions


def batch_layout(input_ids: torch.Tensor, attention_mask: torch.Tensor, loss_mask: torch.Tensor) -> TrunkLayout:
    """The layout of a right-padded batch, from its (R, W) ids and masks of 0/1."""
    lengths = attention_mask.sum(dim=1).tolist()
    ids, loss = (
        [row[:length] for row, length in zip(table.tolist(), lengths, strict=True)] for table in (input_ids, loss_mask)
    )
    return plan_layout(ids, loss, input_ids.shape[1])


def _longest_beginning(own: Ints, placed: Sequence[_Placed]) -> tuple[tuple[Range, ...], int]:
    """Where the longest beginning that a row shares with an earlier one stands, and its length; () and 0 if short."""
    lengths = [_common_length(own, other.ids) for other in placed]
    best = max(lengths, default=0)
    if best < min(MIN_SHARED, len(own)):
        return (), 0
    return _beginning(placed[lengths.index(best)].path, best), best  # the earliest of equals: mostly the trunk


def _common_length(one: Ints, other: Ints) -> int:
    """How many leading elements two arrays share."""
    length = min(len(one), len(other))
    differing = np.flatnonzero(one[:length] != other[:length])
    return int(differing[0]) if len(differing) else length


def _beginning(path: Sequence[Range], length: int) -> tuple[Range, ...]:
    """The first `length` tokens of a path; ranges that touch become one."""
    kept: list[Range] = []
    for start, stop in path:
        stop = min(stop, start + length)
        length -= stop - start
        if stop > start:
            if kept and kept[-1][1] == start:
                start, _ = kept.pop()
            kept.append((start, stop))
    return tuple(kept)


def _indices(path: Sequence[Range]) -> Ints:
    return np.concatenate([np.arange(start, stop) for start, stop in path])
