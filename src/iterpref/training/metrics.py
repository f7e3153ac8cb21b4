"""TRL's metrics under names that say what they cover: D⁻ alone, weighted tokens, a margin taken off."""

from iterpref.training.config import FocalDPOConfig
from iterpref.training.methods import METHODS

_OF_A_SIDE = ("rewards", "logps", "logits")  # sums or means over what the side's mask holds


def name_metrics(metrics: dict[str, list[float]], args: FocalDPOConfig) -> None:
    """Rename or delete, in place, what would be read wrongly under this method."""
    method = METHODS[args.method]
    if not method.pairwise:  # TRL compares with a side that was not run
        for name in [name for name in metrics if name.startswith("rewards/") or name.endswith("/rejected")]:
            del metrics[name]
    if method.margin and "rewards/margins" in metrics:  # TRL took gamma off the chosen side's
        for name in ("rewards/chosen", "rewards/margins"):
            metrics[name] = [value + args.gamma for value in metrics[name]]
        metrics["rewards/accuracies_over_gamma"] = metrics.pop("rewards/accuracies")
    for side, focus in args.sides.items():
        for name in [f"{metric}/{side}" for metric in _OF_A_SIDE if f"{metric}/{side}" in metrics]:
            metrics[f"{name}{focus.suffix}"] = metrics.pop(name)
