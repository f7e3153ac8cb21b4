"""Peak memory of a training step on one device, by the tensors that are alive at its two high moments.

    turn  the forward pass is over, the head runs backward: weights, reference, optimizer's states, gradients of earlier
          batches of the same step, activations, and what the head needs
    step  the backward pass is over: weights, reference, optimizer's states, all gradients, and the gradient of the
          embedding a second time, before it is added

Sources: weights, gradients and Adam's two moments by dtype, and 2 + 2 + 12 bytes a parameter of DeepSpeed's in 16
bits: ZeRO (Rajbhandari et al., arXiv:1910.02054), which also says what each stage shares. What activations are left by
checkpointing layers: Korthikanti et al., arXiv:2205.05198, section 3; what a layer saves is counted (counting.py).
4 bits and a float32 per 64 of them: QLoRA (Dettmers et al., arXiv:2305.14314), section 2. The head: TRL's
`chunked_logprob`.
Not here: what a GPU's allocator wastes, and its context.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from iterpref.records import Record
from iterpref.training.disk import optimizer_bytes
from iterpref.training.dry_run.calibration import WORKING_LAYERS
from iterpref.training.dry_run.counting import Network, Saved
from iterpref.training.dry_run.loads import Load
from iterpref.training.dry_run.sharing import Sharing
from iterpref.training.trunk.install import CPU_TILE

# TRL's head: rows and columns of logits at a time; on a CPU it holds several copies of such a tile, on a GPU one.
_HEAD_ROWS, _GPU_TILE = 4096, 32768
_CPU_COPIES = 6
# A layer is gathered while another runs.
_GATHERED_LAYERS = 2


@dataclass(frozen=True)
class Keeping:
    """How a training keeps its tensors.

    Attributes:
        compute_bytes: Of an element in a matrix product.
        bits: What the base model's linear layers are packed to, if they are.
        reference: Whether a second, frozen copy of the model is held.
        accumulates: Whether a step has several batches.
        trunk: Whether shared tokens are run once.
    """

    device: Literal["cpu", "cuda"]
    compute_bytes: int
    bits: int | None
    reference: bool
    checkpointing: bool
    accumulates: bool
    optimizer: str
    trunk: bool
    sharing: Sharing


class PeakMemory(Record):
    """Bytes on one device at the higher of two moments of a step: `turn` or `step`, which `highest` names.

    `libraries_bytes`: what the process holds before a model is loaded, on a CPU.
    """

    peak_bytes: int
    highest: Literal["turn", "step"]
    weights_bytes: int
    reference_bytes: int
    gradients_bytes: int
    optimizer_bytes: int
    activations_bytes: int
    head_bytes: int
    libraries_bytes: int


def memory_of(network: Network, keeping: Keeping, load: Load, libraries: int = 0) -> PeakMemory:
    """The peak with a batch of this load."""
    sharing = keeping.sharing
    weights = _weights(network, keeping)
    held = weights / sharing.weights + _gathered(network, keeping)
    reference = held if keeping.reference else 0.0
    gradients, states = _gradients(network, keeping), _states(network, keeping)
    activations = activations_of(network, keeping, load)
    head = _head(network, keeping, load)
    earlier = gradients if keeping.accumulates or sharing.engine == "ddp" else 0.0
    turn = held + reference + states + earlier + activations + head
    again = network.head * keeping.compute_bytes if network.head_trained else 0
    step = held + reference + states + gradients + again
    high = turn >= step
    return PeakMemory(
        peak_bytes=round(max(turn, step)) + libraries,
        highest="turn" if high else "step",
        weights_bytes=round(held),
        reference_bytes=round(reference),
        gradients_bytes=round(earlier if high else gradients),
        optimizer_bytes=round(states),
        activations_bytes=round(activations if high else 0),
        head_bytes=round(head if high else again),
        libraries_bytes=libraries,
    )


def resident_bytes() -> int:
    """What this process holds now; 0 where the system doesn't say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def activations_of(network: Network, keeping: Keeping, load: Load) -> float:
    """Bytes that autograd holds at the end of a forward pass, or while a checkpointed layer runs once more, and what
    operations need meanwhile."""
    elsewhere = network.elsewhere.of(load.tokens)
    elsewhere += WORKING_LAYERS[keeping.device] * network.in_layers.per_token * load.tokens / max(network.layers, 1)
    if not keeping.checkpointing:
        narrowed = (load.tokens - load.states) * network.in_last.per_token
        return elsewhere + network.in_layers.of(load.tokens) - narrowed + _copied(network, keeping, load)
    layers = max(network.layers, 1)
    one = Saved(network.in_layers.fixed / layers, network.in_layers.per_token / layers)
    again = one.of(load.tokens) + _copied(network, keeping, load) / layers
    return elsewhere + layers * network.stream_bytes * load.tokens + max(again, network.in_layers.fixed)


def _copied(network: Network, keeping: Keeping, load: Load) -> float:
    """Keys and values that branches attend to: each branch has a copy of its prefix's."""
    return 2.0 * load.copied * network.attention_width * keeping.compute_bytes if keeping.trunk else 0.0


def _weights(network: Network, keeping: Keeping) -> float:
    if keeping.sharing.engine == "deepspeed":
        return 2.0 * network.parameters
    if keeping.bits is None:
        return float(network.parameter_bytes)
    packed = keeping.bits / 8 + (4 / 64 if keeping.bits == 4 else 0)
    return network.parameter_bytes - network.quantizable * (keeping.compute_bytes - packed)


def _gathered(network: Network, keeping: Keeping) -> float:
    """What is whole for a moment where weights are cut up: two layers, the embedding and the head."""
    if keeping.sharing.weights == 1:
        return 0.0
    return keeping.compute_bytes * (_GATHERED_LAYERS * network.layer + network.head * (1 if network.tied else 2))


def _gradients(network: Network, keeping: Keeping) -> float:
    sharing = keeping.sharing
    if sharing.engine == "deepspeed":
        return 2.0 * network.trained / sharing.gradients
    buckets = 2 if sharing.engine == "ddp" else 1  # DDP's buckets hold each gradient again
    return buckets * network.trained_bytes / sharing.gradients


def _states(network: Network, keeping: Keeping) -> float:
    if keeping.sharing.engine == "deepspeed":  # with a float32 copy of the weights
        return (4.0 * network.trained + optimizer_bytes(keeping.optimizer, 4 * network.trained)) / (
            keeping.sharing.optimizer
        )
    return optimizer_bytes(keeping.optimizer, network.trained_bytes) / keeping.sharing.optimizer


def _head(network: Network, keeping: Keeping, load: Load) -> float:
    """Tiles of logits, and in float32 the gradients of the head and of the states that it read."""
    rows, vocabulary = min(load.predictions, _HEAD_ROWS), network.head // network.hidden
    if keeping.device == "cpu":
        tile = rows * min(CPU_TILE if keeping.trunk else _GPU_TILE, vocabulary) * 4 * _CPU_COPIES
    else:
        tile = rows * min(_GPU_TILE, vocabulary) * keeping.compute_bytes
    states = 2 * 4 * load.predictions * network.hidden
    weights = network.head_trained * (4 if keeping.compute_bytes == 4 else 4 + keeping.compute_bytes)
    return float(tile + states + weights)
