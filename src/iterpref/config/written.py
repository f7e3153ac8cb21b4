"""What was written where YAML read something else: `model: 1.10` is the text "1.10", and not the number 1.1.

YAML 1.1 also takes `on`, `no` and `2024-08-01` for a truth value and a date. Where a key wants text, what was written
is meant; it is looked up in a second reading, in which every scalar is text.
"""

import datetime
from typing import Any

import yaml
from pydantic import ValidationError

from iterpref.config.keys import Values, place_of

_READ_OTHERWISE = (bool, int, float, datetime.date)


class OneOfEach(yaml.SafeLoader):
    """Refuses a key that stands twice in one mapping, of which YAML's own loader would take the last in silence."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key.value, str) and key.value in seen:
                raise yaml.composer.ComposerError(None, None, f"{key.value} stands here twice", key.start_mark)
            seen.add(key.value if isinstance(key.value, str) else id(key))
        return node


def as_written(text: str) -> Any:
    """A YAML document with all its scalars as text."""
    return yaml.load(text, Loader=yaml.BaseLoader)


def put_written(written: Values, key: str, text: str) -> None:
    """Put what an override says in its place; a parent that is no mapping becomes one."""
    *parents, last = key.split(".")
    for parent in parents:
        if not isinstance(written.get(parent), dict):
            written[parent] = {}
        written = written[parent]
    written[last] = as_written(text)


def put_texts_back(values: Values, written: Values, error: ValidationError) -> bool:
    """Put into `values` what was written, wherever a text was wanted; whether there was any such place."""
    found = False
    for problem in error.errors():
        *parents, last = place_of(problem["loc"]).name.split(".")
        if problem["type"] == "string_type" and isinstance(problem["input"], _READ_OTHERWISE):
            place, text = _inside(values, parents), _inside(written, [*parents, last])
            if isinstance(place, dict) and isinstance(text, str):
                place[last] = text
                found = True
    return found


def _inside(values: Any, names: list[str]) -> Any:
    for name in names:
        values = values.get(name) if isinstance(values, dict) else None
    return values
