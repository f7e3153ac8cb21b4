"""YAML file and `--set` values → `Config`. A mistake becomes one message, with the key and the nearest known one."""

import copy
import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from iterpref.errors import ConfigError

from .clients import MAY_HOLD_SECRETS
from .stages import Config


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
    if location[-1] in MAY_HOLD_SECRETS:
        return f"{source}: {name}: {error['msg']} (what was given is not shown)"
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
