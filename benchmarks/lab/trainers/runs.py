"""Run folders for trainers that generate: their configuration, and what was generated.

All is done by the package's own steps, so that a killed one goes on and no call is made twice.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from iterpref.config import Config
from iterpref.config.load import load_config
from iterpref.demo import CONFIG
from iterpref.opened_run import OpenedRun
from iterpref.records import Task
from iterpref.store import Store

from .arm import Spent

Section = Mapping[str, Any]
TRAINING: Section = {**CONFIG["training"], "method": "target_rpo"}
"""The demo's settings; an arm that names no loss has the paper's, whatever the demo takes."""


@dataclass(frozen=True)
class RunSettings:
    """Sections of a run's configuration; by default the demo's."""

    debugging: Section = field(default_factory=lambda: dict(CONFIG["debugging"]))
    pairing: Section = field(default_factory=lambda: dict(CONFIG["pairing"]))
    training: Section = field(default_factory=lambda: dict(TRAINING))
    sandbox: Section = field(default_factory=lambda: dict(CONFIG["sandbox"]))

    def config(self, model: Path, seed: int, **changed: Section) -> Config:
        """The configuration of a run that debugs and trains `model`; `changed`: keys of a section, put over these.

        Raises:
            ConfigError: A key or a value that can't be used.
        """
        own = {name: {**getattr(self, name), **changed.pop(name, {})} for name in vars(self)}
        return load_config(base={"seed": seed, "model": str(model), "client": {"model": str(model)}, **own, **changed})


@contextmanager
def opened(folder: Path, config: Config, tasks: Sequence[Task] = ()) -> Iterator[OpenedRun]:
    """A run folder with these tasks."""
    with Store.open(folder) as store:
        store.put_tasks(tasks)
        yield OpenedRun(store, config)


def spent(store: Store, origin: str) -> Spent:
    """What the trajectories of an origin took; each program is one call."""
    programs, prompt, completion, _ = store.calls_of(origin)
    return Spent(programs=programs, prompt_tokens=prompt, completion_tokens=completion)
