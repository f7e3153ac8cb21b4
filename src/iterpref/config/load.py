"""YAML file and `--set` values → `Config`. A mistake becomes one message, with the key and the nearest known one."""

import copy
import difflib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from iterpref.config import Config
from iterpref.config.keys import (
    MOVED,
    Place,
    Values,
    forget_removed_keys,
    kind_of,
    leave_kind,
    listed,
    literals,
    place_of,
)
from iterpref.config.written import OneOfEach, as_written, put_texts_back, put_written
from iterpref.errors import ConfigError


def load_config(
    path: str | Path | None = None, overrides: Sequence[str] = (), base: Values | None = None, *, of_run: bool = False
) -> Config:
    """Read a YAML file (or take `base` instead) and apply `a.b=value` overrides, the values read as YAML.

    An override of a section's kind leaves the keys of the kind before behind. With `of_run` the file is what a run was
    started with, perhaps by an earlier version: keys that exist no more are dropped where they hold their defaults.

    Raises:
        ConfigError: The file is missing or not a mapping, a key is unknown, or a value is of the wrong kind.
    """
    values, written = _read_yaml(Path(path)) if path else (copy.deepcopy(base or {}), {})
    if of_run:
        forget_removed_keys(values)
    changes = [(key, listed(key, value)) for key, value in map(_read_override, overrides)]
    for key, value in changes:
        leave_kind(values, key, value)
    for (key, value), override in zip(changes, overrides, strict=True):
        _apply(values, key, value, override)
        put_written(written, key, override.partition("=")[2])
    source = str(path) if path else "the built-in defaults"
    return parse_config(values, source, [key for key, _ in changes], written)


def load_settings(path: Path | None, settings: Mapping[str, Any]) -> Config:
    """A run's file, or the defaults for None, with a mapping of the same form on top; see `load_config`."""
    values = _read_yaml(path)[0] if path else {}
    forget_removed_keys(values)
    for key, value in _flat(settings):
        leave_kind(values, key, value)
        _apply(values, key, value, f"{key}={value!r}")
    return parse_config(values, "settings" if settings else str(path))


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """`a.b` and its value; a mapping whose keys are no such names is a value."""
    for name, value in settings.items():
        if isinstance(value, Mapping) and value and all(isinstance(key, str) and "." not in key for key in value):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", copy.deepcopy(value)


def parse_config(
    values: Values, source: str = "config", changed: Sequence[str] = (), written: Values | None = None
) -> Config:
    """Check a mapping against the sections; see `load_config`.

    Args:
        changed: Keys that `--set` put there.
        written: The same mapping with its scalars as they were written, which is what keys of texts hold.
    """
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        if written and put_texts_back(values, written, error):
            return parse_config(values, source, changed)
        first: dict[str, str] = {}  # of a value that fits no type of several, the first word
        for found in error.errors():
            place = place_of(found["loc"])
            first.setdefault(place.name, _explain(dict(found), place, _culprit(place.name, source, changed)))
        raise ConfigError("\n".join(first.values())) from None


def _culprit(name: str, source: str, changed: Sequence[str]) -> str:
    """Where a wrong value was said: a key or one of its parents given by `--set`, else the file."""
    given = [key for key in changed if f"{name}.".startswith(f"{key}.") or f"{key}.".startswith(f"{name}.")]
    return f"--set {given[-1]}" if given else source


def dump_config(config: Config) -> str:
    """The configuration as YAML that `load_config` reads back to an equal one."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)


def _read_yaml(path: Path) -> tuple[Values, Values]:
    """The file's values, and the same with every scalar as it is written."""
    try:
        text = path.read_text(encoding="utf-8")
        values = yaml.load(text, Loader=OneOfEach)
    except OSError as error:
        raise ConfigError(f"{path}: can't read this config file ({error.strerror}); check the path") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(values, dict | None):
        raise ConfigError(f"{path}: expected a mapping of sections at the top, got {type(values).__name__}")
    return values or {}, as_written(text) or {}


def _read_override(override: str) -> tuple[str, Any]:
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise ConfigError(f"--set {override}: expected key=value, for example --set debugging.max_iterations=3")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {override}: the value is not valid YAML: {error}") from None
    if isinstance(value, str) and "e" in value.lower():
        with suppress(ValueError):
            value = float(value)  # YAML 1.1 reads `1e-5` as text; people mean a number
    return key, value


def _apply(values: Values, key: str, value: Any, override: str) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        if values.get(parent) is None:  # absent, or a section that is none yet
            values[parent] = {}
        if not isinstance(values[parent], dict):
            raise ConfigError(f"--set {override}: {parent} is a value, not a section")
        values = values[parent]
    values[last] = value


def _explain(error: dict[str, Any], place: Place, source: str) -> str:
    if error["type"] == "extra_forbidden":
        return f"{source}: {_unknown(place)}"
    if error["type"] == "union_tag_invalid":
        expected = " or ".join(error["ctx"]["expected_tags"].rsplit(", ", 1))
        return f"{_at(source, f'{place.name}.kind')}: Input should be {expected}, got {error['input']['kind']!r}"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "literal_error" and place.field is not None:
        choices = list(literals(place.field.annotation))
        near = difflib.get_close_matches(str(error["input"]), choices, n=1)
        advice = f"; did you mean {near[0]}?" if near else ""
        return f"{_at(source, place.name)}: expected one of {', '.join(choices)}, got {error['input']!r}{advice}"
    if place.field is not None and not place.field.repr:
        return f"{_at(source, place.name)}: {message} (what was given is not shown)"
    return f"{_at(source, place.name)}: {message}, got {error['input']!r}"


def _at(source: str, name: str) -> str:
    return source if source == f"--set {name}" else f"{source}: {name}"


def _unknown(place: Place) -> str:
    """What to do about a key that its section doesn't have."""
    parents, _, key = place.name.rpartition(".")
    owners = [f"{parents}.kind={kind_of(kind)}" for kind in place.kinds if key in kind.model_fields]
    if owners:
        found = f"{place.name} is a key of {' or '.join(owners)}, and {parents}.kind is {kind_of(place.section)}"
        return f"{found}; remove it or set {parents}.kind"
    if place.name in MOVED:
        return f"unknown key {place.name}; it is {MOVED[place.name]} now"
    known = list(place.section.model_fields)
    near = difflib.get_close_matches(key, [*known, *(name for kind in place.kinds for name in kind.model_fields)], n=1)
    advice = f"did you mean {'.'.join(filter(None, (parents, near[0])))}?" if near else f"known: {', '.join(known)}"
    return f"unknown key {place.name}; {advice}"
