"""How a command ends: its numbers, as JSON for programs or in lines for people."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_SHARE = re.compile(r"pass@|pass_at|pass_rate|_coverage$")
_DIGITS = 4
_MOST_ROWS = 50  # of one list


def finish(summary: Mapping[str, Any], as_json: bool) -> None:
    """Say what was done: as one JSON object on the last line of standard output, or as plain lines."""
    if as_json:
        print(json.dumps(summary, ensure_ascii=False), flush=True)
    else:
        print("\n".join(_lines(summary, "")), flush=True)


def with_causes(name: str, causes: Mapping[str, str], most: int = 10) -> dict[str, Any]:
    """A part of a summary: the first tasks of some that can't be used, each with its cause; {} if there are none."""
    rows = [{"task": task_id, "cause": cause} for task_id, cause in list(causes.items())[:most]]
    rest = [{"and": f"{len(causes) - most} more"}] if len(causes) > most else []
    return {name: [*rows, *rest]} if rows else {}


def _lines(values: Mapping[str, Any], indent: str) -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield f"{indent}{key}:"
            yield from _lines(value, f"{indent}  ")
        elif isinstance(value, list | tuple) and value and isinstance(value[0], Mapping):
            yield f"{indent}{key}:"
            yield from (f"{indent}  " + ", ".join(f"{name} {_text(name, item)}" for name, item in row.items())
                        for row in value[:_MOST_ROWS])  # fmt: skip
            if len(value) > _MOST_ROWS:
                yield f"{indent}  … {len(value) - _MOST_ROWS} more; --json lists them all"
        else:
            yield f"{indent}{key}: {_text(key, value)}"


def _text(name: str, value: Any) -> str:
    """Shares as percentages, other numbers with four digits."""
    if isinstance(value, float) and _SHARE.search(name):
        return f"{value:.1%}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 10**_DIGITS else f"{value:.{_DIGITS}g}"
    if isinstance(value, list | tuple):
        return ", ".join(_text(name, item) for item in value) or "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_text(key, item)}" for key, item in value.items()) or "none"
    return "–" if value is None else str(value)
