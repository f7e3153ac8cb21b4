"""Hidden states of a packed row → the values TRL expects per token of its padded rows.

Only the states behind a prediction reach the model's head, so logits exist only where there is loss. Which head that
is, and what it computes from the logits, stays with the caller (TRL's fused head).
"""

from typing import Any

import torch

from iterpref.training.trunk.layout import TrunkLayout

# TRL's per-token outputs.
_PER_TOKEN = ("log_probs", "entropy", "log_sum_sq_probs", "mean_logits", "is_top1", "label_mask")


def pick_states(hidden: torch.Tensor, layout: TrunkLayout) -> torch.Tensor:
    """(1, T, H) hidden states → (1, S, H), those with a prediction; a state with two predictions comes twice."""
    return hidden.index_select(1, layout.picked)


def unpack(values: torch.Tensor, layout: TrunkLayout) -> torch.Tensor:
    """(1, S) values of the predictions → (R, W - 1) per token of the padded rows, 0 where there is no loss."""
    flat = values.new_zeros(layout.rows * layout.width)
    return flat.index_copy(0, layout.target, values[0].index_select(0, layout.source)).view(layout.rows, layout.width)


def unpack_outputs(outputs: Any, layout: TrunkLayout) -> Any:
    """TRL's output with its per-token values unpacked."""
    for name in _PER_TOKEN:
        value = getattr(outputs, name, None)
        if value is not None:
            setattr(outputs, name, unpack(value, layout))
    return outputs
