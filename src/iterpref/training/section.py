"""The `training:` section of a run → what `train` needs: TRL's arguments, an adapter, how the checkpoint is selected.

In: a mapping whose keys are TRL's (DPOConfig's, and ModelConfig's about adapters and quantization) and ours. Out: a
checked `TrainingSection`; an unknown key names its nearest neighbour.
"""

# mypy: disable-error-code="misc,has-type,no-any-return"
# A base class comes from an untyped library.

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from trl import ModelConfig

from iterpref.errors import ConfigError
from iterpref.section import Section
from iterpref.training.config import FocalDPOConfig

# ModelConfig's fields that are said elsewhere: by `model`, and by DPOConfig's `model_init_kwargs`.
_ELSEWHERE = ("model_name_or_path", "model_revision", "dtype", "attn_implementation", "lora_task_type")
_SET_BY_RUN = ("output_dir", "resume_from_checkpoint")


@dataclass
class AdapterConfig(ModelConfig):
    """TRL's settings of LoRA (`use_peft`, `lora_*`) and of quantized base models (`load_in_4bit`, ...), plus ours."""

    merge_adapter: bool = field(
        default=True,
        metadata={
            "help": "Save the base model with the adapter merged into it, which any server loads. The adapter alone "
            "is kept in adapter/ either way."
        },
    )


class SelectionConfig(Section):
    """Which checkpoint becomes the model: the one whose programs pass the tests of validation tasks most often."""

    benchmark: str = "playground"
    """`playground`, or the path of a JSONL file of tasks of your own; never a published benchmark."""
    split: str | None = "validation"
    """Only tasks of this split; null: all tasks of the file."""
    tasks: int | None = Field(default=None, gt=0)
    """Only the first so many tasks."""
    max_tokens: int = Field(default=1024, gt=0)
    """Most new tokens of a completion; decoding is greedy, pass@1."""


@dataclass(frozen=True)
class TrainingSection:
    """The section, read."""

    args: FocalDPOConfig
    adapter: AdapterConfig
    selection: SelectionConfig | None


def parse_training(values: Mapping[str, Any], output_dir: Path) -> TrainingSection:
    """Read the `training:` section.

    Raises:
        ConfigError: A key is unknown, or a value is of the wrong kind, can't be used, or contradicts another.
    """
    own = {f.name: FocalDPOConfig for f in fields(FocalDPOConfig) if f.init and f.name not in _SET_BY_RUN}
    about_adapters = {f.name: AdapterConfig for f in fields(AdapterConfig) if f.init and f.name not in _ELSEWHERE}
    kinds: dict[str, type[Any]] = {**own, **about_adapters}
    for key in values:
        if key in _SET_BY_RUN:
            raise ConfigError(f"training: {key} is set by the run folder; leave it out")
        if key not in kinds and key != "selection":
            near = difflib.get_close_matches(key, [*kinds, "selection"], n=1)
            advice = f"did you mean {near[0]}?" if near else "see docs/training.md for the keys"
            raise ConfigError(f"training: unknown key {key}; {advice}")
    hints: dict[type[Any], dict[str, Any]] = {kind: get_type_hints(kind) for kind in (FocalDPOConfig, AdapterConfig)}
    checked: dict[type[Any], dict[str, Any]] = {FocalDPOConfig: {}, AdapterConfig: {}}
    for key, value in values.items():
        if key != "selection":
            listed = [value] if key in ("loss_type", "lora_target_modules") and isinstance(value, str) else value
            checked[kinds[key]][key] = _coerce(key, listed, hints[kinds[key]][key])
    section = TrainingSection(
        FocalDPOConfig(output_dir=str(output_dir), **checked[FocalDPOConfig]),
        _adapter(checked[AdapterConfig]),
        read_selection(values.get("selection")),
    )
    if section.selection and section.args.save_strategy not in ("steps", "epoch"):
        strategy = section.args.save_strategy.value
        raise ConfigError(
            f"training: selection chooses among checkpoints, but save_strategy={strategy} makes none; set "
            "save_strategy to steps (and save_steps) or epoch"
        )
    return section


def _adapter(values: Mapping[str, Any]) -> AdapterConfig:
    try:
        adapter = AdapterConfig(**values)
    except ValueError as error:
        raise ConfigError(f"training: {error}") from error
    if not adapter.use_peft and values:
        given = next((key for key, value in values.items() if value and key != "use_peft"), None)
        if given:
            raise ConfigError(f"training: {given} is about adapters; set use_peft: true, or leave it out")
    return adapter


def read_selection(values: Any) -> SelectionConfig | None:
    """The key `selection`, read; None without it."""
    if values is None:
        return None
    try:
        return SelectionConfig.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(["training.selection", *map(str, first["loc"])])
        known = ", ".join(SelectionConfig.model_fields)
        raise ConfigError(f"{where}: {first['msg']}, got {first['input']!r}; its keys are {known}") from None


def _coerce(key: str, value: Any, kind: Any) -> Any:
    """A value as its field's type; YAML 1.1 reads 1e-5 as text and a bare `no` as false."""
    try:
        return TypeAdapter(kind, config=ConfigDict(arbitrary_types_allowed=True)).validate_python(value)
    except ValidationError as error:
        problem = error.errors()[0]["msg"]
        hint = "; YAML reads a bare yes or no as a boolean, quote it" if isinstance(value, bool) else ""
        raise ConfigError(f"training: {key}: {problem}, got {value!r}{hint}") from None
