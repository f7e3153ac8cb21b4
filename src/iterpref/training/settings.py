"""The `training:` section of a run → what `train` needs: TRL's arguments, an adapter, how the checkpoint is selected.

Its keys are TRL's (DPOConfig's, and ModelConfig's about adapters and quantization) and ours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_type_hints

import torch
from pydantic import ConfigDict, TypeAdapter, ValidationError
from trl import ModelConfig

from iterpref.config import SelectionConfig
from iterpref.errors import ConfigError
from iterpref.training.config import FocalDPOConfig, setting
from iterpref.training.keys import ELSEWHERE, SET_BY_RUN, check_keys
from iterpref.training.resuming import read_selection

_DTYPES = ("auto", "bfloat16", "float16", "float32")
_LISTS = ("loss_type", "lora_target_modules")


@dataclass
class AdapterConfig(ModelConfig):
    """TRL's settings of LoRA (`use_peft`, `lora_*`) and of quantized base models (`load_in_4bit`, ...), plus ours."""

    merge_adapter: bool = setting(
        True,
        "Save the base model with the adapter merged into it, which any server loads. The adapter alone is kept in "
        "adapter/ either way.",
    )


@dataclass(frozen=True)
class TrainingSection:
    args: FocalDPOConfig
    adapter: AdapterConfig
    selection: SelectionConfig | None


def parse_training(values: Mapping[str, Any], output_dir: Path) -> TrainingSection:
    """Read the `training:` section.

    Raises:
        ConfigError: A key is unknown, or a value is of the wrong kind, can't be used, or contradicts another.
    """
    settings = dict(values)
    chosen_by = settings.pop("selection", None)
    own = _kinds(FocalDPOConfig, SET_BY_RUN)
    about_adapters = _kinds(AdapterConfig, ELSEWHERE)
    check_keys(settings, [*own, *about_adapters, "selection"])
    checked = {key: _coerce(key, value, (own | about_adapters)[key]) for key, value in settings.items()}
    args = FocalDPOConfig(output_dir=str(output_dir), **{k: v for k, v in checked.items() if k not in about_adapters})
    adapter = _adapter({k: v for k, v in checked.items() if k in about_adapters})
    selection = read_selection(chosen_by)
    _check_dtype(args.model_init_kwargs or {})
    if args.eval_strategy != "no":
        raise ConfigError(
            f"training: eval_strategy={args.eval_strategy.value} needs pairs to evaluate on, and a run has none; leave "
            "it out (training.selection scores checkpoints on a benchmark)"
        )
    if selection and args.save_strategy not in ("steps", "epoch"):
        raise ConfigError(
            f"training: selection chooses among checkpoints, but save_strategy={args.save_strategy.value} makes none; "
            "set save_strategy to steps (and save_steps) or epoch"
        )
    return TrainingSection(args, adapter, selection)


def _kinds(settings: type[Any], without: Sequence[str]) -> dict[str, Any]:
    """Field → type of what a section may say about a dataclass."""
    hints = get_type_hints(settings)
    return {f.name: hints[f.name] for f in fields(settings) if f.init and f.name not in without}


def _check_dtype(options: Mapping[str, Any]) -> None:
    """Refuse what TRL would refuse later, or not see, and load the model in float32."""
    if "torch_dtype" in options:
        raise ConfigError("training: model_init_kwargs.torch_dtype is not read; its name is dtype")
    dtype = options.get("dtype")
    if not (dtype is None or isinstance(dtype, torch.dtype) or dtype in _DTYPES):
        raise ConfigError(f"training: model_init_kwargs.dtype={dtype} is unknown; expected {', '.join(_DTYPES)}")


def _adapter(values: Mapping[str, Any]) -> AdapterConfig:
    try:
        adapter = AdapterConfig(**values)
    except ValueError as error:
        raise ConfigError(f"training: {error}") from error
    given = next((key for key, value in values.items() if value and key != "use_peft"), None)
    if given and not adapter.use_peft:
        raise ConfigError(f"training: {given} is about adapters; set use_peft: true, or leave it out")
    return adapter


def _coerce(key: str, value: Any, kind: Any) -> Any:
    """A value as its field's type; YAML 1.1 reads 1e-5 as text and a bare `no` as false."""
    if key in _LISTS and isinstance(value, str):
        value = [value]
    try:
        return TypeAdapter(kind, config=ConfigDict(arbitrary_types_allowed=True)).validate_python(value)
    except ValidationError as error:
        problem = error.errors()[0]["msg"]
        hint = "; YAML reads a bare yes or no as a boolean, quote it" if isinstance(value, bool) else ""
        raise ConfigError(f"training: {key}: {problem}, got {value!r}{hint}") from None
