"""Weights of tokens and pairs, for as long as a context is open: TRL's sums become weighted sums.

TRL reads a mask of 0/1 and sums a row's log-probabilities (`outputs.log_probs`, (R, W - 1)), of policy and reference
alike; its NLL term takes the mean over the masked ones. So a row's surplus, the sum of (weight - 1) * log p, is put
into its last column, where no token has loss: the sum becomes the weighted one, and the NLL stays the plain mean.
TRL's loss is a mean over pairs, L = mean_i l_i. The gradient of mean_i c_i l_i is that of L with the gradient that
flows into row i's log-probabilities times c_i; so pairs are weighed there, and the loss that is logged has no weights.
Not here: what a token weighs (methods.py), where the weights and the column come from (batching.py).
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch.nn import Module
from torch.nn.functional import pad


@contextmanager
def weighed(
    models: Sequence[Module], weights: torch.Tensor | None, pair_weights: torch.Tensor | None
) -> Iterator[None]:
    """Within the context, these (unwrapped) models answer TRL's calls with weighted log-probabilities.

    Args:
        models: Policy and reference. Where rows are packed, the context of that is the outer one.
        weights: (R, W) per token, 0 where it has no loss, as in all of the last column; None: nothing is weighed.
        pair_weights: (R / 2,); None: pairs weigh the same.
    """
    rows = None if pair_weights is None else torch.cat([pair_weights, pair_weights])[:, None]

    def weigh(module: Module, args: tuple[Any, ...], kwargs: dict[str, Any], outputs: Any) -> Any:
        if not kwargs.get("fused_lm_head"):
            return outputs
        logps = outputs.log_probs
        if rows is not None and logps.requires_grad:
            logps.register_hook(lambda gradient: gradient * rows[: len(gradient)])  # SFT runs the chosen rows only
        if weights is not None:
            surplus = ((weights[:, 1:] - 1) * logps).sum(dim=1, keepdim=True)
            outputs.log_probs = logps + pad(surplus, (logps.shape[1] - 1, 0))
        return outputs

    with ExitStack() as stack:
        for model in models:
            stack.callback(model.register_forward_hook(weigh, with_kwargs=True).remove)
        yield
