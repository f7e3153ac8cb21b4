"""Batches for TRL's DPOTrainer, with D⁻ in the rejected rows of `completion_mask`.

That mask is the one place from which TRL reads which tokens carry loss, for the policy and for the reference, so
Target-DPO is TRL's DPO on these batches. A row ends with its last token that carries loss; what follows changes no
loss. Not here: which tokens are focal (masking.py), how rows share their beginnings (trunk/layout.py).
"""

from dataclasses import dataclass
from typing import Any

import torch
from trl.trainer.dpo_trainer import DataCollatorForPreference

from iterpref.training.trunk.layout import batch_layout

TRUNK = "trunk"


@dataclass
class FocalPreferenceCollator(DataCollatorForPreference):
    """TRL's collator for examples that also carry `chosen_mask` and `rejected_mask`, 0/1 per token of the side.

    `trunk` adds the batch's `TrunkLayout`, which the trainer takes out again before TRL sees the batch.
    """

    trunk: bool = True

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        """Batch N pairs: tensors of shape (2N, L), chosen rows first; the mask is cut like the ids it belongs to."""
        batch = super().torch_call(examples)
        masks = [(example, example[f"{side}_mask"]) for side in ("chosen", "rejected") for example in examples]
        for row, (example, focal) in enumerate(masks):
            mask = [0] * len(example["prompt_ids"]) + list(focal)
            mask = truncate(mask, self.max_length, self.truncation_mode)
            batch["completion_mask"][row, : len(mask)] = torch.tensor(mask, dtype=torch.long)
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
        width = -(-(int(last.max()) + 1) // step) * step
        for name in ("input_ids", "attention_mask", "completion_mask"):
            batch[name] = batch[name][:, :width]


def truncate(row: list[int], max_length: int | None, mode: str) -> list[int]:
    """What TRL's collator keeps of a row (prompt and completion): its first or its last `max_length` tokens."""
    if max_length is None:
        return row
    return row[:max_length] if mode == "keep_start" else row[-max_length:]
