"""The typer application, the options that commands share, and how a command begins and ends."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from iterpref.errors import IterPrefError

from .opening import Repeatable

app = typer.Typer(
    name="iterpref",
    help="Teach code LLMs from their own debugging.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

RunOption = Annotated[Path, typer.Option("--run", help="The run folder.")]
NewRunOption = Annotated[Path, typer.Option("--run", help="The run folder; made when absent.")]
# A run keeps the settings of the command that makes it; all others use theirs once.
_ONCE = "for this command only; `iterpref config --run RUN set` stores"
_FIRST = "a new run keeps it; else for this command only"
ConfigFile = Annotated[
    Path | None, typer.Option("--config", "-c", help=f"YAML file in place of the run's own settings, {_ONCE}.")
]
Overrides = Annotated[Repeatable, typer.Option("--set", help=f"One setting, as stage.key=value, {_ONCE}; repeatable.")]
FirstConfigFile = Annotated[
    Path | None, typer.Option("--config", "-c", help=f"YAML file in place of the run's own settings; {_FIRST}.")
]
FirstOverrides = Annotated[
    Repeatable, typer.Option("--set", help=f"One setting, as stage.key=value; {_FIRST}; repeatable.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object last.")]


def finish(summary: dict[str, Any], as_json: bool) -> None:
    """Say what was done: as JSON on standard output, or as plain lines."""
    if as_json:
        print(json.dumps(summary, ensure_ascii=False), flush=True)
        return
    for key, value in summary.items():
        if isinstance(value, list | tuple) and value and isinstance(value[0], dict):
            print(f"{key}:")
            for row in value:
                print("  " + ", ".join(f"{name} {item}" for name, item in row.items()))
        elif isinstance(value, dict):
            print(f"{key}: " + (", ".join(f"{name} {item}" for name, item in value.items()) or "none"))
        else:
            print(f"{key}: {value}")


def main() -> None:
    """Entry point: errors a user can act on end as one message and status 1."""
    try:
        app()
    except IterPrefError as error:
        print(f"iterpref: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        print("iterpref: stopped; run the same command again to continue", file=sys.stderr)
        raise SystemExit(130) from None
