"""Run folders for trainers that generate: their configuration, draws to an exact number, and what was generated.

All is done by the package's own steps, so that a killed one goes on and no call is made twice.
"""

import ast
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from iterpref import pipeline
from iterpref.config import Config
from iterpref.config.load import load_config
from iterpref.demo import CONFIG
from iterpref.errors import ConfigError
from iterpref.opened_run import OpenedRun
from iterpref.records import Task
from iterpref.store import Store

from .arm import Spent

Section = Mapping[str, Any]


@dataclass(frozen=True)
class RunSettings:
    """Sections of a run's configuration; by default the demo's."""

    debugging: Section = field(default_factory=lambda: dict(CONFIG["debugging"]))
    pairing: Section = field(default_factory=lambda: dict(CONFIG["pairing"]))
    training: Section = field(default_factory=lambda: dict(CONFIG["training"]))
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


def draw(folder: Path, settings: RunSettings, model: Path, seed: int, tasks: Sequence[Task], programs: int) -> Spent:
    """Exactly so many independent programs for the tasks: each gets its share, the first ones take what is left over.

    Tasks whose tests can't be passed are left out, as in debugging, and then it is fewer.
    """
    if programs < 1:
        raise ConfigError(f"programs={programs}: expected at least 1")
    each, more = divmod(programs, len(tasks))
    for draws, group in ((each + 1, tasks[:more]), (each, tasks)):
        mode = {"mode": "sampling", "draws": "all", "max_iterations": draws - 1}
        if draws and group:
            with opened(folder, settings.config(model, seed, debugging=mode)) as run:
                if run.store.count_tasks() <= len(group):  # else an earlier process was through with the first ones
                    run.store.put_tasks(group)
                    pipeline.debug(run)  # tasks with one draw more are closed already
    with Store.open(folder, write=False) as store:
        return spent(store, "sampling")


def spent(store: Store, origin: str) -> Spent:
    """What the trajectories of an origin took; each program is one call."""
    programs, prompt, completion, _ = store.calls_of(origin)
    return Spent(programs=programs, prompt_tokens=prompt, completion_tokens=completion)


def shape(program: str) -> str:
    """What makes programs distinct: their syntax, not their comments and layout."""
    try:
        return ast.dump(ast.parse(program))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return program
