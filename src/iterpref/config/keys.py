"""Which keys a section has, also one that may be of several kinds, as `client`; and the keys of earlier versions.

A section of several kinds says in `kind` which it is; where it doesn't, the first is meant.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from iterpref.config import Config

Kind = type[BaseModel]
Kinds = list[Kind]
Values = dict[str, Any]

# `section.key` that earlier versions wrote into the config.yaml of every run, null by default → where it is said now.
MOVED = {
    "evaluation.since": "evaluation.options.since",
    "evaluation.until": "evaluation.options.until",
    "evaluation.difficulty": "evaluation.options.difficulty",
}


@dataclass(frozen=True)
class Place:
    """Where an error is: the key as users write it, its field if there is one, its section, all kinds of that."""

    name: str
    field: FieldInfo | None
    section: Kind
    kinds: Kinds


def place_of(location: Sequence[str | int]) -> Place:
    """The place of a validation error. Pydantic puts the kind of a section between the section's name and its key."""
    names: list[str] = []
    field: FieldInfo | None = None
    section: Kind = Config
    options = kinds = sections(Config)
    for part in location:
        if len(options) > 1:
            kinds, options = options, [option for option in options if kind_of(option) == part]
            continue
        if options:
            section, kinds = options[0], kinds if options[0] in kinds else options
            field = section.model_fields.get(str(part))
            options = sections(field.annotation) if field else []
        elif isinstance(part, str) and field is not None and get_origin(field.annotation) is not dict:
            continue  # pydantic's name of one of the types that the value might have had
        names.append(str(part))
    return Place(".".join(names), field, section, kinds)


def sections(annotation: Any) -> Kinds:
    """The sections that a field may hold: none for a value, several where they are of kinds."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [section for part in get_args(annotation) for section in sections(part)]


def literals(annotation: Any) -> Iterator[str]:
    """The texts that a field may hold."""
    if get_origin(annotation) is Literal:
        yield from map(str, get_args(annotation))
    else:
        yield from (text for part in get_args(annotation) for text in literals(part))


def listed(key: str, value: Any) -> Any:
    """A value from the command line as a list where the key holds one: `1,5`, or a single value, beside `[1, 5]`."""
    field, options = None, sections(Config)
    for name in key.split("."):
        field = next((section.model_fields[name] for section in options if name in section.model_fields), None)
        options = sections(field.annotation) if field else []
    if field is None or get_origin(field.annotation) is not tuple or isinstance(value, list | None):
        return value
    return [yaml.safe_load(part) for part in value.split(",")] if isinstance(value, str) else [value]


def kind_of(section: Kind) -> str:
    return str(section.model_fields["kind"].default)


def leave_kind(values: Values, key: str, value: Any) -> None:
    """Before an override of a section's kind: drop the keys that only the kind before has."""
    for name, kinds, section in _of_kinds(values):
        after = next((kind for kind in kinds if kind_of(kind) == value), None)
        if key == f"{name}.kind" and after is not None:
            for lost in _chosen(kinds, section).model_fields.keys() - after.model_fields.keys():
                section.pop(lost, None)


def forget_removed_keys(values: Values) -> None:
    """Drop what only earlier versions write, such as the keys of all kinds, where it holds its default of then."""
    for name in MOVED:
        parent, key = name.split(".")
        _forget(values.get(parent), key, None)
    for _, kinds, section in _of_kinds(values):
        own = _chosen(kinds, section).model_fields
        for key, field in (item for kind in kinds for item in kind.model_fields.items()):
            if key not in own:
                _forget(section, key, to_jsonable_python(field.get_default(call_default_factory=True)))


def _forget(section: Any, key: str, default: Any) -> None:
    if isinstance(section, dict) and key in section and section[key] == default:
        del section[key]


def _of_kinds(values: Values, section: Kind = Config, prefix: str = "") -> Iterator[tuple[str, Kinds, Values]]:
    """Sections of several kinds in a file: their names, the kinds, and what they hold."""
    for name, field in section.model_fields.items():
        inner, kinds = values.get(name), sections(field.annotation)
        if isinstance(inner, dict) and len(kinds) > 1:
            yield f"{prefix}{name}", kinds, inner
        elif isinstance(inner, dict) and kinds:
            yield from _of_kinds(inner, kinds[0], f"{prefix}{name}.")


def _chosen(kinds: Kinds, section: Values) -> Kind:
    return next((kind for kind in kinds if kind_of(kind) == section.get("kind")), kinds[0])
