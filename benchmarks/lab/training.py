"""What a trainer is: a function from a `Training` to a model folder, and what it tells of its way there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .grid import Arm
from .records import Record
from .seeds import SeedData

# Seconds of one core, by trials with the shipped coder (docs/results.md, Cost).
EPOCH_TASK_S = 0.014  # of training on its pairs, per epoch and training task
DEBUG_TASK_S = 0.06  # of debugging it

POINTS = 12  # of a learning curve
CURVE = ("loss", "logps/chosen", "rewards/margins", "entropy", "grad_norm")


@dataclass(frozen=True)
class Training:
    """All that a trainer may use. `settings`: the `training` section; `folder`: its own, to work in; `score`: a model's
    pass@1 on the cell's tasks, for what is told of the way; `like`: the training whose time is its budget."""

    arm: Arm
    settings: Mapping[str, Any]
    rate: float
    length: float
    base: Path
    data: SeedData
    folder: Path
    score: Callable[[Path], float] | None = None
    like: "Training | None" = None


@dataclass(frozen=True)
class Trained:
    """The model, and what the record keeps of its training."""

    model: Path
    facts: Record


@dataclass(frozen=True)
class Trainer:
    """One kind of training.

    Args:
        check: Refuses with a ConfigError what an arm can't say: (arm, its `training` keys with the grid's).
        seconds: Of one core, roughly: (arm, length, training tasks).
        reads_settings: Whether the `training` section says anything to it.
        timed: Whether its budget may be a wall time (`as_long_as`).
    """

    train: Callable[[Training], Trained]
    check: Callable[[Arm, Mapping[str, Any]], None]
    seconds: Callable[[Arm, float, int], float]
    reads_settings: bool = True
    timed: bool = False


def focal_s(arm: Arm, length: float, tasks: int) -> float:
    """What so many epochs on pairs take, whatever the loss."""
    return EPOCH_TASK_S * length * tasks


def curve(log: list[Record]) -> dict[str, list[float]]:
    """A trainer's log as means over at most `POINTS` stretches of steps: `step` (the last of each) and metrics."""
    steps = [entry for entry in log if "loss" in entry]
    size = -(-len(steps) // POINTS)
    stretches = [steps[i : i + size] for i in range(0, len(steps), size)] if steps else []
    found: dict[str, list[float]] = {"step": [stretch[-1]["step"] for stretch in stretches]}
    for name in CURVE:
        if steps and all(name in entry for entry in steps):
            found[name] = [_rounded(sum(entry[name] for entry in part) / len(part)) for part in stretches]
    return found


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
