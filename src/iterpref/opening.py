"""Folder and settings → an opened run, and what of it stays where nothing came of it.

    with open_run("runs/a", {"client": {"model": "path/to/model"}}) as run:
        pipeline.debug(run)

Not here: how the command line says its settings (`cli/opening.py`), what a step does with the run (pipeline.py).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from iterpref.config import Config
from iterpref.config.load import dump_config, load_settings
from iterpref.doing import doing
from iterpref.files import write_text
from iterpref.opened_run import OnProgress, OpenedRun, quiet
from iterpref.run_folder import DATABASE, RunFolder
from iterpref.store import Store


@contextmanager
def open_run(
    folder: str | Path,
    settings: Mapping[str, Any] | None = None,
    *,
    write: bool = True,
    on_progress: OnProgress = quiet,
) -> Iterator[OpenedRun]:
    """A run folder for the steps of `iterpref.pipeline`, each of which is a verb of the command line.

    Args:
        folder: The run folder; made when absent, unless `write` is False.
        settings: As in config.yaml, `{"pairing": {"negatives": "each"}}`, on top of the run's own. They hold while it
            is open; a run that is made here keeps them.
        write: False where records are only read, also while another process writes.
        on_progress: Told how far a step has come: what, done, total, and a few words.

    Raises:
        ConfigError: A key is unknown, or a value can't be used.
        StoreError: There is no run to read, it is damaged or of a newer version, or another process is writing.
    """
    stored = RunFolder(Path(folder)).config
    config = load_settings(stored if stored.is_file() else None, settings or {})
    with opened(Path(folder), config, makes=write, write=write) as run:
        yield replace(run, on_progress=on_progress)


@contextmanager
def opened(folder: Path, config: Config, *, makes: bool, write: bool = True) -> Iterator[OpenedRun]:
    """A run folder, open with this configuration, which becomes the run's own where this makes the run.

    What fails before it has stored anything leaves neither a new run nor new settings.
    """
    made = False
    try:
        with doing(f"opening {folder}"):
            store = Store.open(folder, write=write)
        with store:
            made = makes and _keep(store, config)
            try:
                yield OpenedRun(store, config)
            except BaseException:
                made = made and not store.count_work()
                raise
    except BaseException:
        if made:
            _take_back(folder)
        raise


def _keep(store: Store, config: Config) -> bool:
    """Make this the configuration of a run that has none and holds nothing; whether it was one."""
    path = RunFolder(store.folder).config
    new = not path.is_file() and not store.count_work()
    if new:
        write_text(path, dump_config(config))
    return new


def _take_back(run: Path) -> None:
    """Remove a run that holds nothing; logs stay, for they say why."""
    folder = RunFolder(run)
    for path in (folder.config, *run.glob(f"{DATABASE}*"), run / ".lock"):
        path.unlink(missing_ok=True)
    with suppress(OSError):
        run.rmdir()
