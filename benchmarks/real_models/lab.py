"""What every step works with: the experiment, the records of earlier steps, and run folders in the work folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from iterpref.config import Config
from iterpref.config.load import dump_config
from iterpref.files import write_text
from iterpref.opened_run import OnProgress, OpenedRun, quiet
from iterpref.run_folder import RunFolder
from iterpref.store import Store

from .plan import Experiment
from .records import Records


@dataclass(frozen=True)
class Lab:
    experiment: Experiment
    records: Records
    show: OnProgress = quiet

    def folder(self, name: str) -> Path:
        return self.experiment.work / name

    @contextmanager
    def opened(self, name: str, config: Config) -> Iterator[OpenedRun]:
        """A run folder of the work folder; one that is new keeps these settings, so that any verb can be used on it."""
        folder = self.folder(name)
        with Store.open(folder) as store:
            kept = RunFolder(folder).config
            if not kept.is_file():
                write_text(kept, dump_config(config))
            yield OpenedRun(store, config, self.show)

    @contextmanager
    def read(self, name: str) -> Iterator[Store]:
        """What a finished step left, also while other steps read it."""
        with Store.open(self.folder(name), write=False) as store:
            yield store
