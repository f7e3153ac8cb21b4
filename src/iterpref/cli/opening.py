"""How a command begins: its settings, its first line, its run.

One rule for settings. `-c FILE` (in place of the run's own) and `--set` (on top) hold for one command. What a run keeps
is its config.yaml: written by the command that makes the run, and then by `iterpref config --run RUN set` only. A
command that fails before it has stored anything leaves neither a new run nor new settings.
"""

import difflib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from iterpref.doing import doing
from iterpref.errors import StoreError
from iterpref.run_folder import DATABASE, RunFolder

from .first_line import say_first_line
from .stopping import stoppable

if TYPE_CHECKING:
    from iterpref.config import Config
    from iterpref.opened_run import OpenedRun

Repeatable = list[str] | None


@contextmanager
def open_run(
    run: Path,
    config: Path | None,
    overrides: Repeatable,
    base: dict[str, Any] | None = None,
    *,
    makes: bool = False,
    write: bool = True,
) -> "Iterator[OpenedRun]":
    """The run folder, opened with the settings of this command.

    Args:
        base: Settings in place of those of the run and of the defaults.
        makes: Whether this command may make the run; otherwise it must be there.

    Raises:
        StoreError: No run here; see also `Store.open`.
        ConfigError: See `load_config`.
    """
    if not makes:
        must_exist(run)
    resolved = begin(run, config, overrides, base)
    if makes:
        check_training(resolved)

    from iterpref.progress import ProgressBars

    with ProgressBars() as bars:
        with doing("starting"):
            from iterpref.opening import opened

            import_module("iterpref.pipeline")  # what the command asks for next
        with opened(run, resolved, makes=makes, write=write) as found, stoppable(found.store):
            yield replace(found, on_progress=bars)


@contextmanager
def open_estimate(run: Path, config: Path | None, overrides: Repeatable) -> "Iterator[OpenedRun]":
    """The run folder for reading; where it isn't there yet an empty one in its place, so that none is made."""
    if RunFolder(run).database.is_file():
        with open_run(run, config, overrides, write=False) as opened:
            yield opened
        return
    resolved = begin(run, config, overrides)

    from iterpref.opened_run import OpenedRun
    from iterpref.store import Store

    with TemporaryDirectory() as empty, Store.open(empty) as store:
        yield OpenedRun(store, resolved)


def begin(run: Path, config: Path | None, overrides: Repeatable, base: dict[str, Any] | None = None) -> "Config":
    """The settings of this command, and its first line; see `open_run`."""
    resolved = resolve(run, config, overrides, base)
    source = _file_of(run, config) if base is None else "of the demo"
    say_first_line(run, str(source or "the defaults"), overrides or [], resolved)
    return resolved


def resolve(run: Path, config: Path | None, overrides: Repeatable, base: dict[str, Any] | None = None) -> "Config":
    """`-c` if given, else the run's own settings, else the defaults; then `--set`."""
    from iterpref.config.load import load_config

    path = _file_of(run, config) if base is None else None
    of_run = path is not None and (path == RunFolder(run).config or (path.parent / DATABASE).is_file())
    return load_config(path, overrides or [], base, of_run=of_run)


def _file_of(run: Path, config: Path | None) -> Path | None:
    stored = RunFolder(run).config
    return config or (stored if stored.is_file() else None)


def check_training(config: "Config") -> None:
    """Refuse unknown keys of `training:` before a run keeps them: only `train` reads them, and it comes late."""
    if config.training:
        from iterpref.training import check_keys, known_keys

        check_keys(config.training, known_keys())


def must_exist(run: Path) -> None:
    """Refuse a run that isn't there, before a folder of that name is made."""
    if not RunFolder(run).database.is_file():
        raise StoreError(f"{run}: no run here (expected {DATABASE}){_advice(run)}")


def _advice(run: Path) -> str:
    beside = [folder.parent for folder in run.parent.glob(f"*/{DATABASE}")] if run.parent.is_dir() else []
    near = difflib.get_close_matches(run.name, [folder.name for folder in beside], n=1)
    if near:
        return f"; did you mean {run.parent / near[0]}?"
    return "; make one: iterpref import SOURCE --run RUN (tasks, recorded runs or pairs), or iterpref synthesize"
