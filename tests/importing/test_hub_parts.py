"""Data sets with several configurations and splits, as `datasets` loads them from the hub."""

import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from iterpref.config.load import load_config
from iterpref.errors import RecordError
from iterpref.importing import import_source
from iterpref.opened_run import OpenedRun
from iterpref.store import Store

CARD = """---
configs:
- config_name: python
  data_files: [{split: train, path: python.parquet}, {split: test, path: test.parquet}]
- config_name: java
  data_files: java.parquet
---
"""


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set with two configurations, taken for one of the hub: `load_dataset` reads a folder and an id alike."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    for module in ("rows.sources", "importing.import_source"):
        monkeypatch.setattr(sys.modules[f"iterpref.{module}"], "is_hub_id", lambda source: True)
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "README.md").write_text(CARD)
    for name in ("python", "java", "test"):
        pair = {"prompt": name, "chosen": "```python\nx = 1\n```", "rejected": "```python\nx = 2\n```"}
        pq.write_table(pa.Table.from_pylist([pair]), folder / f"{name}.parquet")
    return folder


@pytest.mark.parametrize(
    ("settings", "prompt"),
    [
        pytest.param(["importing.config_name=python"], "python", id="config"),
        pytest.param(["importing.config_name=java"], "java", id="another"),
        pytest.param(["importing.config_name=python", "importing.split=test"], "test", id="config and split"),
    ],
)
def test_a_configuration_and_a_split_can_be_chosen(
    dataset: Path, store: Store, settings: list[str], prompt: str
) -> None:
    assert import_source(OpenedRun(store, load_config(overrides=settings)), str(dataset), {}) == {"pairs": 1}
    assert [pair.prompt for pair in store.imported_pairs()] == [prompt]


def test_without_a_choice_the_configurations_are_named(dataset: Path, store: Store) -> None:
    with pytest.raises(RecordError, match=r"split train .*Config name is missing.*'python', 'java'.*config_name"):
        import_source(OpenedRun(store, load_config()), str(dataset), {})


def test_defect_19_configuration_and_revision_are_keys(tmp_path: Path) -> None:
    """Without a network: they are asked for, and named."""
    settings = ("--set", "importing.config_name=python", "--set", "importing.revision=v1.0")
    command = [sys.executable, "-m", "iterpref", "import", "someone/pairs", "--run", str(tmp_path / "run"), *settings]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "cache")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100)
    assert "the hub gave no data set of this name, split train, config python, revision v1.0" in done.stderr
