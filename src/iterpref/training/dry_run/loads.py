"""Tokenised pairs → how much each batch of an epoch runs, by the sampler and the layout that training itself uses."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from iterpref.errors import TrainingError
from iterpref.training.batching import batch_rows, group_batches
from iterpref.training.config import FocalDPOConfig
from iterpref.training.methods import METHODS
from iterpref.training.trunk.layout import TrunkLayout, plan_layout


@dataclass(frozen=True)
class Load:
    """What a batch makes a model run.

    Attributes:
        tokens: Tokens that go through the layers.
        attended: Pairs of a query and a key.
        copied: Tokens of the prefixes of branches, and of these themselves: their keys and values are copied.
        states: Tokens whose last feed-forward is run.
        predictions: Rows of logits.
        unshared: Tokens if every row were run by itself and padded to the longest.
    """

    tokens: int
    attended: int
    copied: int
    states: int
    predictions: int
    unshared: int


@dataclass(frozen=True)
class Course:
    """Optimizer steps of a training, batches that all processes run together, and epochs.

    A process that has no batch of its own in an epoch's last round repeats one (accelerate's `even_batches`).
    """

    steps: int
    batches: int
    epochs: float


def epoch_batches(dataset: Any, args: FocalDPOConfig) -> list[list[int]]:
    """The row numbers of each batch of an epoch, all processes together."""
    if args.groups_pairs:
        return list(group_batches(dataset, args, args.per_device_train_batch_size, dataset["kind"]))
    order, size = np.random.default_rng(args.seed).permutation(len(dataset)).tolist(), args.per_device_train_batch_size
    kept = len(order) - len(order) % size if args.dataloader_drop_last else len(order)
    return [order[at : at + size] for at in range(0, kept, size)]


def batch_loads(dataset: Any, batches: Sequence[list[int]], args: FocalDPOConfig, *, trunk: bool, compact: bool
) -> Iterator[Load]:  # fmt: skip
    """The load of each batch.

    Args:
        trunk: Whether shared tokens are run once.
        compact: Whether the head runs the positions with loss only, as TRL's does on a GPU; with a trunk it always is.
    """
    pairwise = METHODS[args.method].pairwise
    for members in batches:
        ids, loss = batch_rows([dataset[at] for at in members], args.max_length, args.truncation_mode)
        layout = plan_layout(ids, loss, max(map(len, ids)))
        ends = [_end(row) for row in loss]
        unshared = (len(ids) if pairwise else len(members)) * max(ends)
        if trunk and layout.tokens:
            yield _shared(layout, unshared)
        else:
            predictions = layout.labels.numel() if compact else unshared
            yield Load(unshared, unshared * max(ends), 0, unshared, predictions, unshared)


def course(batches: int, args: FocalDPOConfig, processes: int) -> Course:
    """A whole training, as transformers' trainer counts it.

    Raises:
        TrainingError: No process has a batch.
    """
    per_process = batches // processes if args.dataloader_drop_last else math.ceil(batches / processes)
    if not per_process:
        raise TrainingError(
            f"training: dataloader_drop_last leaves no step: {batches} whole batches for {processes} processes; leave "
            "it out, or make batches smaller"
        )
    per_epoch = math.ceil(per_process / args.gradient_accumulation_steps)
    steps = args.max_steps if args.max_steps > 0 else math.ceil(args.num_train_epochs * per_epoch)
    whole, more = divmod(steps, per_epoch)
    turns = whole * per_process + min(more * args.gradient_accumulation_steps, per_process)
    return Course(steps, turns * processes, turns / per_process)


def _shared(layout: TrunkLayout, unshared: int) -> Load:
    own = [(segment.stop - segment.start, segment.prefix_length) for segment in layout.segments]
    return Load(
        tokens=layout.tokens,
        attended=sum(length * before + length * (length + 1) // 2 for length, before in own),
        copied=sum(length + before for length, before in own if before),
        states=len(np.unique(layout.picked.numpy())),
        predictions=layout.labels.numel(),
        unshared=unshared,
    )


def _end(loss: Sequence[float]) -> int:
    """Tokens of a row up to its last one with loss; the first, if it has none."""
    return max((at for at, weight in enumerate(loss) if weight > 0), default=0) + 1
