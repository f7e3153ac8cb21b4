"""How a command ends: its numbers, as JSON for programs, as a table on a terminal, in plain lines elsewhere."""

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from iterpref.visible import shown

if TYPE_CHECKING:
    from rich.table import Table

_SHARE = re.compile(r"pass@|repair@|pass_at|pass_rate|_coverage$")
_BAR = re.compile(r"(?<!\\)\|")
_DIGITS = 4
_MOST_ROWS = 50  # of one list


def finish(summary: Mapping[str, Any], as_json: bool) -> None:
    """Say what was done: as one JSON object on the last line of standard output, or for people."""
    if as_json:
        say_as_json(summary)
    elif sys.stdout.isatty():
        from rich.console import Console

        Console(highlight=False).print(_table(summary), soft_wrap=False)
    else:
        print("\n".join(_lines(summary, "")), flush=True)


def say_as_json(summary: Mapping[str, Any]) -> None:
    """One line, whatever it holds: a lone surrogate of a program is escaped."""
    text = json.dumps(summary, ensure_ascii=False)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        text = json.dumps(summary)
    print(text, flush=True)


def say_markdown(text: str) -> None:
    """Our Markdown: its tables laid out on a terminal, and as it is elsewhere, to be pasted."""
    if not sys.stdout.isatty():
        print(shown(text), flush=True)
        return
    from rich.console import Console

    console = Console(highlight=False)
    for is_table, lines in groupby(shown(text).splitlines(), key=lambda line: line.startswith("|")):
        if is_table:
            console.print(_laid_out([[cell.strip() for cell in _BAR.split(line)[1:-1]] for line in lines]))
        else:
            console.print("\n".join(lines), markup=False)


def _laid_out(rows: Sequence[Sequence[str]]) -> "Table":
    """Of the rows of a Markdown table: the first has the names, the second the rule."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in rows[0]:
        table.add_column(Text(name), overflow="fold")
    for row in rows[2:]:
        table.add_row(*(Text(cell.replace("\\|", "|")) for cell in row))
    return table


def with_causes(name: str, causes: Mapping[str, str], most: int = 10) -> dict[str, Any]:
    """A part of a summary: the first tasks of some that can't be used, each with its cause; {} if there are none."""
    rows = [{"task": task_id, "cause": cause} for task_id, cause in list(causes.items())[:most]]
    rest = [{"and": f"{len(causes) - most} more"}] if len(causes) > most else []
    return {name: [*rows, *rest]} if rows else {}


def with_cut(count: int, key: str) -> dict[str, Any]:
    """A part of a summary: failing replies that were cut at `key.max_tokens`, and what to do; {} if there are none."""
    note = f"cut replies failed, and ended at the token limit before their program did: raise {key}.max_tokens"
    return {"cut_replies": count, "note": note} if count else {}


def _table(summary: Mapping[str, Any]) -> "Table":
    """Two columns; what is a list of rows is a table of its own in the second."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in summary.items():
        inner: Any = Text(_text(key, value))
        if isinstance(value, Mapping) and value:
            inner = _table(value)
        elif _is_rows(value):
            inner = _rows(value)
        table.add_row(Text(shown(key.replace("_", " "))), inner)
    return table


def _rows(rows: Sequence[Mapping[str, Any]]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    names = list(dict.fromkeys(name for row in rows for name in row))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in names:
        table.add_column(Text(shown(name.replace("_", " "))), overflow="fold")
    for row in rows[:_MOST_ROWS]:
        table.add_row(*(Text(_text(name, row[name]) if name in row else "") for name in names))
    if len(rows) > _MOST_ROWS:
        table.add_row(f"… {len(rows) - _MOST_ROWS} more; --json lists them all")
    return table


def _is_rows(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and isinstance(value[0], Mapping)


def _lines(values: Mapping[str, Any], indent: str) -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield f"{indent}{shown(key)}:"
            yield from _lines(value, f"{indent}  ")
        elif _is_rows(value):
            yield f"{indent}{key}:"
            yield from (f"{indent}  " + ", ".join(f"{name} {_text(name, item)}" for name, item in row.items())
                        for row in value[:_MOST_ROWS])  # fmt: skip
            if len(value) > _MOST_ROWS:
                yield f"{indent}  … {len(value) - _MOST_ROWS} more; --json lists them all"
        else:
            yield f"{indent}{shown(key)}: {_text(key, value)}"


def _text(name: str, value: Any) -> str:
    """Shares as percentages, other numbers with four digits; of texts nothing that a terminal would obey."""
    if isinstance(value, float) and _SHARE.search(name):
        return f"{value:.1%}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 10**_DIGITS else f"{value:.{_DIGITS}g}"
    if isinstance(value, list | tuple):
        return ", ".join(_text(name, item) for item in value) or "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{shown(str(key))} {_text(key, item)}" for key, item in value.items()) or "none"
    return "–" if value is None else shown(str(value))
