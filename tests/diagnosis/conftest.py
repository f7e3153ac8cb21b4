"""A small run of the playground, debugged and paired once; and diagnosing a copy of it."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from iterpref import pipeline
from iterpref.config.load import parse_config
from iterpref.diagnosis import DiagnosisProgress
from iterpref.opened_run import OpenedRun
from iterpref.playground.tasks import playground_tasks
from iterpref.store import Store

TASKS = 20
GREEDY = {"samples": 1, "sampling": {"temperature": 0, "max_tokens": 96}}
Diagnose = Callable[..., DiagnosisProgress]


@pytest.fixture(scope="session")
def paired(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("paired") / "run"
    values = {"debugging": {"max_iterations": 2, "sampling": {"max_tokens": 96}}, "sandbox": {"workers": 1}}
    with Store.open(folder) as store:
        store.put_tasks(playground_tasks("train", TASKS))
        run = OpenedRun(store, parse_config(values))
        pipeline.debug(run)
        assert pipeline.pair(run).kept >= 5
    return folder


@pytest.fixture
def run(paired: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(paired, tmp_path / "run"))


@pytest.fixture
def diagnose(run: Path) -> Diagnose:
    """Diagnose with a client of these settings, greedily."""

    def asked(store: Store | None = None, diagnosis: dict[str, Any] | None = None, **client: Any) -> DiagnosisProgress:
        if store is None:
            with Store.open(run) as opened:
                return asked(opened, diagnosis, **client)
        values = {"client": client, "diagnosis": diagnosis or GREEDY, "sandbox": {"workers": 1}}
        return pipeline.diagnose(OpenedRun(store, parse_config(values)))

    return asked
