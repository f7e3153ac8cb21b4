"""Batches for TRL's DPOTrainer, with D⁻ in the rejected rows of `completion_mask`.

That mask is the one place from which TRL reads which tokens carry loss, for the policy and for the reference, so
Target-DPO is TRL's DPO on these batches. Not here: which tokens are focal (masking.py).
"""

# mypy: disable-error-code="misc,has-type,no-any-return"
# The base class comes from an untyped library.

from dataclasses import dataclass
from typing import Any

import torch
from trl.trainer.dpo_trainer import DataCollatorForPreference


@dataclass
class FocalPreferenceCollator(DataCollatorForPreference):
    """TRL's collator for examples that also carry `rejected_mask`, (len(rejected_ids),) of 0/1."""

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        """Batch N pairs: tensors of shape (2N, L), chosen rows first; the mask is cut like the ids it belongs to."""
        batch = super().torch_call(examples)
        for row, example in enumerate(examples, start=len(examples)):
            mask = [0] * len(example["prompt_ids"]) + list(example["rejected_mask"])
            mask = truncate(mask, self.max_length, self.truncation_mode)
            batch["completion_mask"][row, : len(mask)] = torch.tensor(mask, dtype=torch.long)
        return batch


def truncate(row: list[int], max_length: int | None, mode: str) -> list[int]:
    """What TRL's collator keeps of a row (prompt and completion): its first or its last `max_length` tokens."""
    if max_length is None:
        return row
    return row[:max_length] if mode == "keep_start" else row[-max_length:]
