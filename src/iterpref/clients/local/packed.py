"""Linear layers with weights laid out for oneDNN: on a CPU 1.5 to 3 times faster for the few rows of a decoding step.

PyTorch's own product reads weights as they are stored, at a fraction of what memory gives when a step has 2 to 64 rows
(docs/experiments.md, "Decoding on a CPU"). Same numbers, summed in another order.
"""

from typing import Any

import torch

_CLOSE = {torch.float32: 1e-3, torch.bfloat16: 5e-2}
"""Precisions that the layout serves, and how far sums in another order may be apart."""
_ROWS = 512  # the layout is chosen for so many, and serves any number as well


class PackedLinear(torch.nn.Module):
    """A frozen `Linear` on the CPU; keeps no second copy of the weights."""

    def __init__(self, linear: torch.nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.bias = linear.bias
        self._packed = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), _ROWS)

    @property
    def weight(self) -> torch.Tensor:
        """(out, in), unpacked anew: for code that looks at it."""
        dense: torch.Tensor = self._packed.to_dense()
        return dense

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """(…, in) → (…, out)"""
        return torch.ops.mkldnn._linear_pointwise(states, self._packed, self.bias, "none", [], "")  # type: ignore[no-any-return]


@torch.inference_mode()
def pack_linears(model: Any) -> int:
    """Exchange the model's linear layers, one by one so that memory holds one of them twice; returns how many.

    None where this PyTorch can't: the operators are its compiler's and may change.
    """
    packed = 0
    for parent in list(model.modules()):
        for name, layer in list(parent.named_children()):
            if type(layer) is torch.nn.Linear and layer.weight.dtype in _CLOSE:
                if not packed and not _works(layer):
                    return 0
                setattr(parent, name, PackedLinear(layer))
                packed += 1
    return packed


def _works(layer: torch.nn.Linear) -> bool:
    states = torch.linspace(-1, 1, 3 * layer.in_features, dtype=layer.weight.dtype).view(3, -1)
    close = _CLOSE[layer.weight.dtype]
    try:
        found = PackedLinear(layer)(states)
    except (AttributeError, RuntimeError, TypeError):
        return False
    return torch.allclose(found, layer(states), rtol=close, atol=close)
