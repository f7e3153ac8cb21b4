"""Floating-point operations of a batch, the bytes that are written beside them, and how long both take.

Two operations for each weight and token forward, as many for the gradient of what a layer read, and for that of its
weights, where they are trained (Kaplan et al., arXiv:2001.08361, section 2.1); attention's two products forward, five
backward, where a fused kernel computes one of them again (Dao, arXiv:2307.08691, section 3.1); with checkpointing the
layers once more (Narayanan et al., arXiv:2104.04473, section 3.4). TRL's head computes its logits again, too.
Norms, activation functions and the like are bound by memory: their time goes by what autograd saves (calibration.py).
"""

from dataclasses import dataclass

from iterpref.training.dry_run.calibration import PASSES
from iterpref.training.dry_run.counting import Network
from iterpref.training.dry_run.loads import Load
from iterpref.training.dry_run.speed import Speed

_FORWARD, _BACKWARD = 2, 5  # products of queries, keys and values
_LOGIT_PASSES = {"forward": 10, "backward": 14}  # over each tile of TRL's head, counted in its source
_OPTIMIZER_PASSES = 6  # Adam reads four tensors and writes three, the clipping of gradients reads them
_SHARE_FORWARD = 1 / 3


@dataclass(frozen=True)
class Work:
    """Operations in products of matrices and in attention, and bytes written beside them."""

    products: float = 0.0
    attention: float = 0.0
    written: float = 0.0

    def __add__(self, other: "Work") -> "Work":
        return Work(self.products + other.products, self.attention + other.attention, self.written + other.written)

    def __mul__(self, times: float) -> "Work":
        return Work(self.products * times, self.attention * times, self.written * times)

    @property
    def flops(self) -> float:
        return self.products + self.attention

    def seconds(self, speed: Speed | float) -> float:
        """On a machine of this speed, or one that reaches so many operations a second with all there is to do."""
        if isinstance(speed, float):
            return self.flops / speed
        return self.products / speed.products + self.attention / speed.attention + self.written / speed.written


def reference_work(network: Network, load: Load, *, trunk: bool) -> Work:
    """One pass forward over a batch."""
    logits = network.head / network.hidden * load.predictions
    return Work(
        products=2.0 * (_products(network, load, trunk) + network.head * load.predictions),
        attention=_FORWARD * 2.0 * network.attention_width * load.attended,
        written=_SHARE_FORWARD * _written(network, load) + 4.0 * _LOGIT_PASSES["forward"] * logits,
    )


def training_work(network: Network, load: Load, *, checkpointing: bool, trunk: bool) -> Work:
    """Forward and backward over a batch, without the reference's pass."""
    products = _products(network, load, trunk)
    trained = products * network.linear_trained / max(network.linear, 1)
    logits = network.head / network.hidden * load.predictions
    head = 2.0 * network.head + network.head_trained  # logits again, gradients of states and of the weights
    backward = Work(
        products=2.0 * (products + trained + head * load.predictions),
        attention=_BACKWARD * 2.0 * network.attention_width * load.attended,
        written=(1 - _SHARE_FORWARD) * _written(network, load) + 4.0 * _LOGIT_PASSES["backward"] * logits,
    )
    again = Work(
        products=2.0 * products,
        attention=_FORWARD * 2.0 * network.attention_width * load.attended,
        written=_SHARE_FORWARD * _written(network, load),
    )
    return reference_work(network, load, trunk=trunk) + backward + again * float(checkpointing)


def optimizer_work(network: Network) -> Work:
    """Of one step, whatever its batches."""
    return Work(written=float(_OPTIMIZER_PASSES * network.trained_bytes))


def _products(network: Network, load: Load, trunk: bool) -> float:
    """Weights times tokens of the layers; with a trunk the last feed-forward runs predicting states only."""
    return float(network.linear * load.tokens - network.last_feed_forward * (load.tokens - load.states) * trunk)


def _written(network: Network, load: Load) -> float:
    return PASSES * network.in_layers.per_token * load.tokens
