"""One YAML file, one section per stage → one frozen `Config`. Unknown keys fail and name the nearest known one.

    config = load_config("recipes/demo.yaml", ["debugging.max_iterations=3"])

The resolved configuration is written into the run folder. Secrets have no place here: they come from the environment.
`training` is handed whole to TRL's configuration (`training/config.py`), which knows its own keys.
"""

import copy
import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from iterpref.errors import ConfigError
from iterpref.records import Isolation, Limits


class Section(BaseModel):
    """Base of all sections: immutable, strict about keys, documented under each field."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class SamplingConfig(Section):
    """How a model is asked for one completion."""

    temperature: float = Field(default=0.8, ge=0)
    """0 is greedy decoding."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Nucleus: the smallest set of tokens whose probability reaches this share."""
    max_tokens: int = Field(default=1024, gt=0)
    """New tokens per completion."""


class EvaluationSamplingConfig(SamplingConfig):
    """The same, greedy unless said otherwise."""

    temperature: float = Field(default=0.0, ge=0)
    """0 is greedy decoding."""


class ClientConfig(Section):
    """Where completions come from."""

    kind: Literal["local", "replay"] = "local"
    """`local`: a transformers model in this process. `replay`: completions recorded in a JSONL file."""
    model: str = "playground"
    """`playground`, a model folder, or a hub id; for `replay` the path of the recording."""
    batch_size: int = Field(default=64, gt=0)
    """Requests decoded together by a local model."""
    device: str = "auto"
    """`auto` takes CUDA when there is one; else any torch device name."""


class SandboxConfig(Section):
    """How programs are run."""

    workers: int | None = Field(default=None, gt=0)
    """Parallel executions; default: one per core this process may use."""
    isolation: Isolation | Literal["auto"] = "auto"
    """Which rung to use; `auto` takes the highest that this machine permits."""
    min_isolation: Isolation = "rlimits"
    """Refuse to run anything below this rung."""
    preload: tuple[str, ...] = ()
    """Modules imported once before programs start, so that each program finds them ready."""


class DebuggingConfig(Section):
    """Attempt → execute → feedback → attempt."""

    mode: Literal["debugging", "sampling"] = "debugging"
    """`sampling` draws independent programs instead of repairs, for comparison at equal calls."""
    max_iterations: int = Field(default=5, ge=0)
    """Repairs after the first attempt (paper: at most five); in sampling mode, further draws."""
    sampling: SamplingConfig = SamplingConfig()
    """How programs are sampled."""
    concurrency: int = Field(default=256, gt=0)
    """Tasks in flight at once."""
    split: str | None = None
    """Only tasks of this split; default: all tasks of the run."""


class PairingConfig(Section):
    """Trajectories → focal preference pairs (arXiv:2503.02783, Algorithm 1)."""

    negatives: Literal["random", "first", "last", "each"] = "random"
    """Which failing versions become `rejected`: one at random (the paper's choice), the first, the last, or each."""
    empty_removed: Literal["drop", "full", "error"] = "drop"
    """A fix that only inserts lines leaves nothing to penalise: drop the pair, penalise the whole program, or stop."""
    max_removed_lines: int = Field(default=20, gt=0)
    """Pairs with more wrong lines than this are dropped (paper: 20)."""
    max_tokens: int = Field(default=2048, gt=0)
    """Pairs with a longer program on either side are dropped (paper: 2,048)."""
    tokenizer: str | None = None
    """`playground`, a folder or a hub id to count tokens with; default: estimated, three bytes a token."""
    prompt_format: Literal["messages", "text"] = "messages"
    """`messages` puts the prompt through the model's chat template in training; `text` is for base models."""


class EvaluationConfig(Section):
    """Benchmark → completions → Result."""

    benchmark: str = "playground"
    """`playground`, or a JSONL file of tasks in this package's schema."""
    split: str | None = "held_out"
    """Only tasks of this split; null for all."""
    tasks: int | None = Field(default=None, gt=0)
    """Only the first so many tasks."""
    samples: int = Field(default=1, gt=0)
    """Completions per task."""
    k: tuple[int, ...] = (1,)
    """pass@k for these k, each at most `samples`."""
    sampling: EvaluationSamplingConfig = EvaluationSamplingConfig()
    """How completions are sampled; greedy by default."""


class PlaygroundConfig(Section):
    """Size of the demo laboratory."""

    train_tasks: int = Field(default=400, gt=0)
    """Tasks that the coder debugs."""
    held_out_tasks: int = Field(default=300, gt=0)
    """Tasks it is evaluated on, before and after training; their compositions are never trained on."""


class Config(Section):
    """Everything one run needs."""

    seed: int = 0
    """Seeds sampling, random negatives and training order."""
    model: str = "playground"
    """The model that is trained and evaluated: `playground`, a model folder, or a hub id."""
    client: ClientConfig = ClientConfig()
    sandbox: SandboxConfig = SandboxConfig()
    limits: Limits | None = None
    """Limits of every execution; default: each task's own."""
    debugging: DebuggingConfig = DebuggingConfig()
    pairing: PairingConfig = PairingConfig()
    training: dict[str, Any] = {}
    """Keys of TRL's DPOConfig, and `method`: sft, dpo, rpo, target_dpo or target_rpo."""
    evaluation: EvaluationConfig = EvaluationConfig()
    playground: PlaygroundConfig = PlaygroundConfig()


def load_config(
    path: str | Path | None = None, overrides: Sequence[str] = (), base: Mapping[str, Any] | None = None
) -> Config:
    """Read a YAML file (or take `base` instead) and apply `a.b=value` overrides, the values read as YAML.

    Raises:
        ConfigError: The file is missing or not a mapping, a key is unknown, or a value is of the wrong kind.
    """
    values = _read_yaml(Path(path)) if path else copy.deepcopy(dict(base or {}))
    for override in overrides:
        _apply_override(values, override)
    return parse_config(values, source=str(path) if path else "the built-in defaults")


def parse_config(values: Mapping[str, Any], source: str = "config") -> Config:
    """Check a mapping against the sections; see `load_config`."""
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(dict(e), source) for e in error.errors())) from None


def dump_config(config: Config) -> str:
    """The configuration as YAML that `load_config` reads back to an equal one."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: can't read this config file ({error.strerror}); check the path") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected a mapping of sections at the top, got {type(values).__name__}")
    return values


def _apply_override(values: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise ConfigError(f"--set {override}: expected key=value, for example --set debugging.max_iterations=3")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {override}: the value is not valid YAML: {error}") from None
    if isinstance(value, str) and (number := _scientific(value)) is not None:
        value = number
    *parents, last = key.split(".")
    for parent in parents:
        child = values.setdefault(parent, {})
        if not isinstance(child, dict):
            raise ConfigError(f"--set {override}: {parent} is a value, not a section")
        values = child
    values[last] = value


def _scientific(text: str) -> float | None:
    """YAML 1.1 reads `1e-5` as text; people mean a number."""
    try:
        return float(text) if "e" in text.lower() else None
    except ValueError:
        return None


def _explain(error: dict[str, Any], source: str) -> str:
    location = [str(part) for part in error["loc"]]
    name = ".".join(location)
    if error["type"] == "extra_forbidden":
        known = _known_keys(location[:-1])
        near = difflib.get_close_matches(location[-1], known, n=1)
        advice = f"did you mean {'.'.join([*location[:-1], near[0]])}?" if near else f"known: {', '.join(known)}"
        return f"{source}: unknown key {name}; {advice}"
    return f"{source}: {name}: {error['msg']}, got {error['input']!r}"


def _known_keys(parents: Sequence[str]) -> list[str]:
    section: Any = Config
    for parent in parents:
        field = section.model_fields.get(parent)
        options = [field.annotation, *getattr(field.annotation, "__args__", ())] if field else []
        section = next((o for o in options if isinstance(o, type) and issubclass(o, BaseModel)), None)
        if section is None:
            return []
    return list(section.model_fields)
