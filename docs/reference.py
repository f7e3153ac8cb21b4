"""Write docs/reference.md: every command, configuration key and record, read off the code. A test keeps it current.

python docs/reference.py
"""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel

from iterpref.cli import app
from iterpref.config import Config
from iterpref.config.keys import kind_of, sections
from iterpref.records import base, diagnosis, execution, mark, pair, result, task, trajectory
from iterpref.section import Section

PAGE = Path(__file__).parent / "reference.md"
HEADER = """# Reference

Made by `python docs/reference.py`; don't edit.
"""
EXAMPLE = re.compile(r"\s*(?:Example|Several processes): (.+)")
TABLE = "| key | default | meaning |\n|---|---|---|"


def page() -> str:
    return "\n".join([HEADER, *commands(), *configuration(), *record_types()])


def commands() -> Iterator[str]:
    yield "## Commands\n"
    group: Any = typer.main.get_command(app)
    for name, command in sorted(group.commands.items()):
        yield f"### `iterpref {name}`\n"
        yield with_blocks(inspect.cleandoc(command.help or "")) + "\n"
        for parameter in command.get_params(typer.Context(command))[:-1]:  # the last is --help
            shown = ", ".join(f"`{option}`" for option in parameter.opts)
            help_text = getattr(parameter, "help", "") or ""
            yield f"- {shown}: {help_text}"
        yield ""


def with_blocks(text: str) -> str:
    """A help text whose examples are blocks of code."""
    blocks = EXAMPLE.sub(r"\n\n```sh\n\1\n```\n\n", text)
    return re.sub(r"\n{3,}", "\n\n", blocks).strip()


def configuration() -> Iterator[str]:
    yield "## Configuration\n"
    yield "One YAML file; `--set section.key=value` changes one value. Unknown keys are refused.\n"
    yield TABLE
    yield from section_rows(Config, "")
    yield ""
    places = dict(sections_of_kinds(Config, ""))
    names = ", ".join(f"`{name}`" for name in places)
    yield f"Each of {names} is a section of one `kind`, with the keys of that only; without `kind` of the first:\n"
    for kind in places["client"]:
        yield f"### kind: {kind_of(kind)}\n"
        yield inspect.cleandoc(kind.__doc__ or "") + "\n"
        yield TABLE
        yield from section_rows(kind, "")
        yield ""


def sections_of_kinds(section: type[BaseModel], prefix: str) -> Iterator[tuple[str, list[type[BaseModel]]]]:
    for name, field in section.model_fields.items():
        kinds = sections(field.annotation)
        if len(kinds) > 1:
            yield f"{prefix}{name}", kinds
        elif kinds:
            yield from sections_of_kinds(kinds[0], f"{prefix}{name}.")


def section_rows(section: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in section.model_fields.items():
        kind = field.annotation
        kinds = sections(kind)
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from section_rows(kind, f"{prefix}{name}.")
        elif len(kinds) > 1:
            default = f"kind: {field.default.kind}" if field.default else None
            yield f"| `{prefix}{name}` | `{default}` | {field.description} Its keys: see below. |"
        elif name != "kind":
            default = field.get_default(call_default_factory=True)
            yield f"| `{prefix}{name}` | `{default!r}` | {(field.description or '').replace(chr(10), ' ')} |"


def record_types() -> Iterator[str]:
    yield "## Records\n"
    yield "Frozen; unknown fields are refused. Each is written as JSON by `model_dump_json()`.\n"
    for module in (base, task, execution, trajectory, pair, mark, diagnosis, result):
        for name, kind in vars(module).items():
            if not isinstance(kind, type) or kind.__module__ != module.__name__ or kind is base.Record:
                continue
            yield f"### {name}\n"
            yield inspect.cleandoc(kind.__doc__ or "") + "\n"
            yield "| field | type | default |\n|---|---|---|"
            for field_name, field in kind.model_fields.items():
                default = "" if field.is_required() else f"`{field.get_default(call_default_factory=True)!r}`"
                yield f"| `{field_name}` | `{type_name(field.annotation)}` | {default} |"
            yield ""


def type_name(annotation: Any) -> str:
    text = getattr(annotation, "__name__", None) if isinstance(annotation, type) else None
    full = text if text and not getattr(annotation, "__args__", None) else str(annotation)
    for noise in ("typing.", "<class '", "'>"):
        full = full.replace(noise, "")
    full = re.sub(r"iterpref\.records\.\w+\.", "", full)
    return full.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
