"""What a training would take, in numbers for programs or in units for people."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iterpref.errors import ConfigError
from iterpref.run_folder import RunFolder

if TYPE_CHECKING:
    from iterpref.config import Config

_DEVICES = ("cpu", "cuda")


def planned(
    run: Path,
    settings: "Config",
    dry: bool,
    device: str | None,
    flops: float | None,
    launch: Path | None,
    as_json: bool,
) -> dict[str, Any]:
    """The plan of a training."""
    if not dry:
        raise ConfigError("--device, --flops and --launch say what a dry run is about; give --dry-run, too")
    if device not in (None, *_DEVICES):
        raise ConfigError(f"--device {device}: expected {' or '.join(_DEVICES)}")
    if flops is not None and not 0 < flops < float("inf"):
        raise ConfigError(f"--flops {flops:g}: expected more than 0, as 4e14")

    from iterpref.training import plan_run

    plan = plan_run(RunFolder(run), settings, device, flops, launch).model_dump(mode="json")  # type: ignore[arg-type]
    return plan if as_json else _in_units(plan)


def _in_units(values: Mapping[str, Any]) -> dict[str, Any]:
    """Bytes as GiB or MiB, operations as powers of ten; without what is empty."""
    said: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            said[name] = _in_units(value)
        elif name.endswith("_bytes"):
            said[name.removesuffix("_bytes")] = _size(value)
        elif name.startswith("flops_per"):
            said[name] = f"{value:.3g}"
        elif name == "notes":
            said |= {f"note {number}": note for number, note in enumerate(value, start=1)}
        else:
            said[name] = f"{value:,}" if type(value) is int else value
    return said


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
