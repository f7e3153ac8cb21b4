"""A configuration file of accelerate → how many processes train, and what of the model each of them holds."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from iterpref.errors import ConfigError

Engine = Literal["none", "ddp", "fsdp", "deepspeed"]
_WHOLE = ("NO", "MULTI_GPU", "MULTI_CPU")


@dataclass(frozen=True)
class Sharing:
    """`weights`, `gradients` and `optimizer` say into how many parts each of these is cut."""

    processes: int = 1
    engine: Engine = "none"
    weights: int = 1
    gradients: int = 1
    optimizer: int = 1

    @property
    def in_words(self) -> str:
        cut = {"weights": self.weights, "gradients": self.gradients, "optimizer states": self.optimizer}
        parts = [name for name, count in cut.items() if count > 1]
        return f"{self.engine}: {', '.join(parts)} in {self.processes} parts" if parts else self.engine


def sharing_of(path: Path | None) -> Sharing:
    """What a launch with this file shares; without one, a single process.

    Raises:
        ConfigError: Not a file that `accelerate launch --config_file` takes, or a way of sharing that isn't known here.
    """
    if path is None:
        return Sharing()
    from accelerate.commands.config.config_args import load_config_from_file

    try:
        read = load_config_from_file(str(path))
        processes, kind = int(read.num_processes), str(getattr(read.distributed_type, "value", read.distributed_type))
    except Exception as error:  # a file that is missing, no mapping, with other keys, of another service
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ConfigError(
            f"--launch {path}: can't be read as a file of accelerate ({reason}); expected what `accelerate config` "
            "writes"
        ) from None
    if processes < 1:
        raise ConfigError(f"--launch {path}: num_processes is {processes}; expected the number of all processes")
    if kind == "FSDP":
        return _fsdp(read.fsdp_config, processes)
    if kind == "DEEPSPEED":
        return _deepspeed(read.deepspeed_config, processes, path)
    if kind not in _WHOLE:
        raise ConfigError(f"--launch {path}: distributed_type is {kind}; expected FSDP, DEEPSPEED or MULTI_GPU")
    return Sharing(processes, "ddp" if processes > 1 else "none")


def _fsdp(settings: dict[str, Any], processes: int) -> Sharing:
    """By FSDP2's `fsdp_reshard_after_forward`, or the first version's strategy; not resharded, weights stay whole."""
    strategy = str(settings.get("fsdp_sharding_strategy", "FULL_SHARD")).upper()
    reshard = str(settings.get("fsdp_reshard_after_forward", strategy)).upper()
    if reshard in ("NO_SHARD", "3"):
        return Sharing(processes, "ddp")
    kept = reshard in ("FALSE", "SHARD_GRAD_OP", "2")
    return Sharing(processes, "fsdp", 1 if kept else processes, processes, processes)


def _deepspeed(settings: dict[str, Any], processes: int, path: Path) -> Sharing:
    if "deepspeed_config_file" in settings:
        stage = _stage_of_file(Path(settings["deepspeed_config_file"]), path)
    else:
        stage = int(settings.get("zero_stage", 2))
    return Sharing(
        processes,
        "deepspeed",
        weights=processes if stage >= 3 else 1,
        gradients=processes if stage >= 2 else 1,
        optimizer=processes if stage >= 1 else 1,
    )


def _stage_of_file(named: Path, path: Path) -> int:
    import json

    try:
        return int(json.loads(named.read_text(encoding="utf-8"))["zero_optimization"]["stage"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"--launch {path}: its deepspeed_config_file {named} can't be read ({error}); expected DeepSpeed's JSON "
            "with zero_optimization.stage"
        ) from None
