"""The typer application, the options that commands share, and how a command begins and ends."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NoReturn

import typer

import iterpref
from iterpref.errors import IterPrefError, StoppedError
from iterpref.files import disk_trouble
from iterpref.visible import shown

from .opening import Repeatable
from .verb import Verb, Verbs

app = typer.Typer(
    name="iterpref",
    cls=Verbs,
    help="Teach code LLMs from their own debugging.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def verb(name: str | None = None, cls: type[Verb] = Verb) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a function a verb; its docstring is the help."""
    return app.command(name, cls=cls)


def _say_version(asked: bool) -> None:
    if asked:
        print(f"iterpref {iterpref.__version__}")
        raise typer.Exit


@app.callback()
def _iterpref(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None: ...


RunOption = Annotated[Path, typer.Option("--run", help="The run folder.")]
NewRunOption = Annotated[Path, typer.Option("--run", help="The run folder; made when absent.")]
# A run keeps the settings of the command that makes it; all others use theirs once.
_ONCE = "for this command only; `iterpref config --run RUN set` stores"
_FIRST = "a new run keeps it; else for this command only"
ConfigFile = Annotated[
    Path | None, typer.Option("--config", "-c", help=f"YAML file in place of the run's own settings, {_ONCE}.")
]
Models = Annotated[
    Repeatable,
    typer.Option(
        "--model",
        help="Folder, hub id, name of a training, or an endpoint's model; repeatable; default: the config's.",
    ),
]
Overrides = Annotated[Repeatable, typer.Option("--set", help=f"One setting, as stage.key=value, {_ONCE}; repeatable.")]
FirstConfigFile = Annotated[
    Path | None, typer.Option("--config", "-c", help=f"YAML file in place of the run's own settings; {_FIRST}.")
]
FirstOverrides = Annotated[
    Repeatable, typer.Option("--set", help=f"One setting, as stage.key=value; {_FIRST}; repeatable.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object last.")]


def main() -> None:
    """Entry point: errors a user can act on end as one message and status 1, Ctrl-C with status 130."""
    for stream in (sys.stdout, sys.stderr):  # a file's name may hold bytes that are no text
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        app()
    except StoppedError as stopped:
        _end(str(stopped), 130)
    except IterPrefError as error:
        _end(str(error), 1)
    except Exception as error:
        trouble = disk_trouble(error)
        if trouble is None:
            raise
        where = trouble.filename or "a file"
        kept = "What was finished before is kept; free space and run the same command again to go on"
        _end(f"{where}: can't be written ({trouble.strerror}). {kept}", 1)
    except SystemExit as end:
        if end.code == 130:  # Ctrl-C before a run was open
            _end("stopped; run the same command again to go on", 130)
        raise


def _end(message: str, status: int) -> NoReturn:
    print(f"iterpref: {shown(message)}", file=sys.stderr)
    raise SystemExit(status) from None
