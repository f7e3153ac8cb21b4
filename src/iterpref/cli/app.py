"""The typer application, the options that commands share, and how a command begins and ends."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from iterpref.errors import IterPrefError
from iterpref.run_folder import RunFolder

if TYPE_CHECKING:
    from iterpref.config import Config
    from iterpref.opened_run import OpenedRun

app = typer.Typer(
    name="iterpref",
    help="Teach code LLMs from their own debugging.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

RunOption = Annotated[Path, typer.Option("--run", help="The run folder; created when absent.")]
ConfigFile = Annotated[Path | None, typer.Option("--config", "-c", help="YAML file; default: the run's own config.")]
Repeatable = list[str] | None
Overrides = Annotated[Repeatable, typer.Option("--set", help="One value, as stage.key=value; repeatable.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object last.")]


@contextmanager
def open_run(
    run: Path, config: Path | None, overrides: Repeatable, base: dict[str, Any] | None = None
) -> "Iterator[OpenedRun]":
    """The run folder, opened for writing, with its resolved configuration written into it."""
    from iterpref.config.load import dump_config
    from iterpref.files import write_text
    from iterpref.opened_run import OpenedRun
    from iterpref.progress import ProgressBars
    from iterpref.store import Store

    resolved = resolve(run, config, overrides, base)
    with Store.open(run) as store, ProgressBars() as bars:
        write_text(RunFolder(run).config, dump_config(resolved))
        yield OpenedRun(store, resolved, bars)


def resolve(run: Path, config: Path | None, overrides: Repeatable, base: dict[str, Any] | None = None) -> "Config":
    """`-c` if given, else what the run was started with, else the defaults; then `--set`."""
    from iterpref.config.load import load_config

    stored = RunFolder(run).config
    path = config or (stored if stored.is_file() and base is None else None)
    return load_config(path, overrides or [], base, of_run=path == stored)


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
