"""Which pairs share a batch (all pairs of a prompt, so that they hang on one trunk), and the batch that TRL gets.

Batches are made once, by seed; every epoch goes through them in another order, a function of seed and epoch alone, so
a resumed run gets the batches that were left. A batch counts the tokens that trunk-and-branch runs, not those of padded
rows.
TRL reads at one place, `completion_mask`, which tokens carry loss, for the policy and for the reference; with D⁻ in its
rejected rows, Target-DPO is TRL's DPO. A row ends with its last token that carries loss; what follows changes no loss.
Not here: which tokens are focal (masking.py), how rows share their beginnings (trunk/layout.py).
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.nn.functional import pad
from torch.utils.data import Sampler
from transformers.trainer_pt_utils import LengthGroupedSampler
from trl.trainer.dpo_trainer import DataCollatorForPreference

from iterpref.training.config import FocalDPOConfig
from iterpref.training.curriculum import Curriculum
from iterpref.training.pair_row import truncate
from iterpref.training.trunk.layout import batch_layout, plan_layout

TRUNK, WEIGHTS, PAIR_WEIGHTS = "trunk", "token_weights", "pair_weights"
OURS = (TRUNK, WEIGHTS, PAIR_WEIGHTS)  # what a batch has beside TRL's
# Row numbers → how much of a batch they take: pairs or tokens.
SizeOf = Callable[[list[int]], int]


@dataclass
class _Batch:
    members: list[int] = field(default_factory=list)
    size: int = 0


class GroupBatchSampler(Sampler[list[int]]):
    """Batches of row numbers; pairs of one prompt stay together as far as the limit allows.

    Args:
        rows: The tokenised pairs, in the dataset's order.
        max_pairs: Limit of a batch in pairs; taken if `max_tokens` is None.
        max_tokens: Limit in tokens of the packed row; a pair that alone is longer gets a batch of its own.
        max_length: What the collator keeps of a row.
        drop_last: For accelerate: whether a last round that has no batch for some process is left out.
        curriculum: The order of an epoch's batches (curriculum.py); None: at random.
    """

    def __init__(
        self,
        rows: Sequence[Mapping[str, Any]],
        *,
        seed: int,
        max_pairs: int,
        max_tokens: int | None = None,
        max_length: int | None = None,
        drop_last: bool = False,
        curriculum: Curriculum | None = None,
    ) -> None:
        self.batch_size = None  # accelerate's sign for batches of different sizes
        self.drop_last = drop_last
        self._seed = seed
        self._epoch = 0
        groups = _groups(rows)
        order = np.random.default_rng(seed).permutation(len(groups))
        size_of: SizeOf = len if max_tokens is None else partial(_packed_tokens, rows, max_length)
        limit = max_pairs if max_tokens is None else max_tokens
        shuffled = [groups[at] for at in order]
        self._curriculum = curriculum
        if curriculum is None:
            self.batches = _pack(shuffled, limit, size_of)
        else:
            stages = [_pack(stage, limit, size_of) for stage in curriculum.stages(shuffled)]
            self.batches = curriculum.begin(stages)

    @property
    def sampler(self) -> "GroupBatchSampler":
        """Where accelerate looks for `set_epoch` behind its own wrappers."""
        return self

    def set_epoch(self, epoch: int) -> None:
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self.batches) if self._curriculum is None else self._curriculum.length

    def __iter__(self) -> Iterator[list[int]]:
        draw = np.random.default_rng((self._seed, self._epoch))
        order = draw.permutation(len(self.batches)) if self._curriculum is None else self._curriculum.order(draw)
        for at in order:
            yield list(self.batches[at])


class LengthOrder(Sampler[int]):
    """transformers' order by length (`group_by_length`), drawn by seed and epoch alone.

    By itself it draws from torch's global generator, so that what was drawn before, such as for reference values that
    weren't in the cache yet, gave another order, and a resumed run got other batches than those that were left.
    """

    def __init__(self, sampler: LengthGroupedSampler, seed: int) -> None:
        self._sampler, self._seed, self._epoch = sampler, seed, 0

    def set_epoch(self, epoch: int) -> None:
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._sampler)

    def __iter__(self) -> Iterator[int]:
        (state,) = np.random.SeedSequence((self._seed, self._epoch)).generate_state(1)
        self._sampler.generator = torch.Generator().manual_seed(int(state))
        return iter(self._sampler)


def order_seed(args: FocalDPOConfig) -> int:
    """The seed that the order of the training pairs is drawn by."""
    return args.seed if args.data_seed is None else args.data_seed


def group_batches(dataset: Any, args: FocalDPOConfig, max_pairs: int, kinds: Sequence[str]) -> GroupBatchSampler:
    """The batches that a training with these settings makes of tokenised pairs; `kinds`: of each pair's failure."""
    ordered = args.curriculum != "none"
    return GroupBatchSampler(
        dataset,
        seed=order_seed(args),
        max_pairs=max_pairs,
        max_tokens=args.max_tokens_per_batch,
        max_length=args.max_length,
        drop_last=args.dataloader_drop_last,
        curriculum=Curriculum(kinds, args.curriculum == "frequent_first", args.curriculum_replay) if ordered else None,
    )


def _pack(groups: Iterable[list[int]], limit: int, size_of: SizeOf) -> list[list[int]]:
    """First fit, group after group; a group over the limit is cut into parts that fit."""
    batches: list[_Batch] = []
    open_batches: list[_Batch] = []
    for part in (part for group in groups for part in _parts(group, limit, size_of)):
        size = size_of(part)
        batch = next((b for b in open_batches if b.size + size <= limit), None)
        if batch is None:
            batch = _Batch()
            batches.append(batch)
            open_batches.append(batch)
        batch.members += part
        batch.size += size
        if batch.size >= limit:
            open_batches.remove(batch)
    return [batch.members for batch in batches]


def _parts(group: Iterable[int], limit: int, size_of: SizeOf) -> Iterator[list[int]]:
    part: list[int] = []
    for number in group:
        if part and size_of([*part, number]) > limit:
            yield part
            part = []
        part = [*part, number]
    yield part


def _packed_tokens(rows: Sequence[Mapping[str, Any]], max_length: int | None, members: Iterable[int]) -> int:
    ids, loss = batch_rows([rows[at] for at in members], max_length)
    return plan_layout(ids, loss, max(map(len, ids))).tokens


def batch_rows(
    pairs: Sequence[Mapping[str, Any]], max_length: int | None, mode: str = "keep_start"
) -> tuple[list[list[int]], list[list[float]]]:
    """Token ids and weights of a batch's 2N rows, the chosen ones first, cut as the collator does."""
    ids, loss = [], []
    for side in ("chosen", "rejected"):
        for row in pairs:
            ids.append(truncate([*row["prompt_ids"], *row[f"{side}_ids"]], max_length, mode))
            loss.append(truncate([*[0] * len(row["prompt_ids"]), *row[f"{side}_mask"]], max_length, mode))
    return ids, loss


def _groups(rows: Sequence[Mapping[str, Any]]) -> list[list[int]]:
    """The numbers of the rows of each prompt, in the order of their first."""
    groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        groups[tuple(row["prompt_ids"])].append(number)
    return list(groups.values())


@dataclass
class FocalPreferenceCollator(DataCollatorForPreference):
    """TRL's collator for examples that also carry `chosen_mask` and `rejected_mask`, a weight per token of the side.

    A token with a weight over 0 is in TRL's `completion_mask`. Weights other than 0 and 1 come as `token_weights`, and
    the rows then have one column more, without loss (weighing.py). `pair_weight` other than 1 comes as `pair_weights`,
    (N,). `trunk` adds the batch's `TrunkLayout`. The trainer
    takes these out again before TRL sees the batch.
    """

    trunk: bool = True

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        """Batch N pairs: tensors of shape (2N, L), chosen rows first; the mask is cut like the ids it belongs to."""
        batch = super().torch_call(examples)
        masks = [(example, example[f"{side}_mask"]) for side in ("chosen", "rejected") for example in examples]
        weights = torch.zeros(batch["completion_mask"].shape)
        for row, (example, focal) in enumerate(masks):
            mask = truncate([0.0] * len(example["prompt_ids"]) + list(focal), self.max_length, self.truncation_mode)
            weights[row, : len(mask)] = torch.tensor(mask)
        batch["completion_mask"] = (weights > 0).long()
        if not torch.equal(weights, (weights > 0).float()):
            batch[WEIGHTS] = weights
        pair_weights = torch.tensor([example.get("pair_weight", 1.0) for example in examples])
        if not torch.equal(pair_weights, torch.ones(len(examples))):
            batch[PAIR_WEIGHTS] = pair_weights
        self._cut_tails(batch)
        if self.trunk:
            batch[TRUNK] = batch_layout(batch["input_ids"], batch["attention_mask"], batch["completion_mask"])
        return batch

    def _cut_tails(self, batch: dict[str, Any]) -> None:
        """End each row after its last token with loss (its first token, if it has none), and drop empty columns."""
        places = torch.arange(batch["input_ids"].shape[1])
        last = (batch["completion_mask"] * places).amax(dim=1, keepdim=True)
        behind = places > last
        batch["attention_mask"].masked_fill_(behind, 0)
        batch["input_ids"].masked_fill_(behind, self.pad_token_id)
        step = self.pad_to_multiple_of or 1
        columns = int(last.max()) + 1 + (WEIGHTS in batch)
        width = -(-columns // step) * step
        empty = {"input_ids": self.pad_token_id}
        for name in ("input_ids", "attention_mask", "completion_mask", WEIGHTS):
            if name in batch:
                missing = max(width - batch[name].shape[1], 0)
                batch[name] = pad(batch[name][:, :width], (0, missing), value=empty.get(name, 0))
