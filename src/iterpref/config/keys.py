"""Which keys a section has, also one that may be of several kinds, as `client`; and the keys of earlier versions.

In: places in the configuration. Out: what may stand there, by the fields of `Config`. A section of several kinds says
in `kind` which it is; where it doesn't, the first is meant.
Not here: reading, checking and messages (load.py).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from .stages import Config

Kinds = list[type[BaseModel]]
Values = dict[str, Any]

# Keys that earlier versions wrote into the config.yaml of every run, and what they held where nobody had set them.
REMOVED: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Place:
    """Where an error is: the key as users write it, its field if there is one, its section, all kinds of that."""

    name: str
    field: FieldInfo | None
    section: type[BaseModel]
    kinds: Kinds


def place_of(location: Sequence[str | int]) -> Place:
    """The place of a validation error. Pydantic puts the kind of a section between the section's name and its key."""
    names: list[str] = []
    field: FieldInfo | None = None
    section: type[BaseModel] = Config
    options, kinds = sections(Config), sections(Config)
    for part in location:
        if len(options) > 1:
            kinds, options = options, [option for option in options if kind_of(option) == part]
            continue
        if options:
            section, kinds = options[0], kinds if options[0] in kinds else options
            field = section.model_fields.get(str(part))
            options = sections(field.annotation) if field else []
        names.append(str(part))
    return Place(".".join(names), field, section, kinds)


def sections(annotation: Any) -> Kinds:
    """The sections that a field may hold: none for a value, several where they are of kinds."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [section for part in get_args(annotation) for section in sections(part)]


def kind_of(section: type[BaseModel]) -> str:
    """What `kind` says in a section of this class."""
    return str(section.model_fields["kind"].default)


def leave_kind(values: Values, keys: Sequence[str], value: Any) -> None:
    """Before an override changes a section's kind: drop the keys that only the kind before has."""
    *parents, last = keys
    section, kinds = _at(values, parents), dict(places_of_kinds(Config)).get(tuple(parents), [])
    after = next((kind for kind in kinds if kind_of(kind) == value), None)
    if last == "kind" and section is not None and after is not None:
        for key in _chosen(kinds, section).model_fields.keys() - after.model_fields.keys():
            section.pop(key, None)


def forget_removed_keys(values: Values) -> None:
    """Drop what earlier versions wrote and this one doesn't know, where it holds its default of then.

    They wrote the keys of all kinds into every section of a kind.
    """
    removed = [(tuple(name.split(".")), default) for name, default in REMOVED]
    for path, kinds in places_of_kinds(Config):
        own = _chosen(kinds, _at(values, path) or {}).model_fields
        others = {key: field for kind in kinds for key, field in kind.model_fields.items() if key not in own}
        defaults = {key: field.get_default(call_default_factory=True) for key, field in others.items()}
        removed += [((*path, key), to_jsonable_python(default)) for key, default in defaults.items()]
    for (*parents, key), default in removed:
        section = _at(values, parents)
        if section and key in section and section[key] == default:
            del section[key]


def places_of_kinds(section: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Kinds]]:
    """Where the configuration has sections of several kinds."""
    for name, field in section.model_fields.items():
        kinds = sections(field.annotation)
        if len(kinds) > 1:
            yield (*path, name), kinds
        elif kinds:
            yield from places_of_kinds(kinds[0], (*path, name))


def _chosen(kinds: Kinds, section: Values) -> type[BaseModel]:
    return next((kind for kind in kinds if kind_of(kind) == section.get("kind")), kinds[0])


def _at(values: Values, path: Sequence[str]) -> Values | None:
    """The section at a place of a file; None if there is none."""
    for part in path:
        inner = values.get(part)
        if not isinstance(inner, dict):
            return None
        values = inner
    return values
