"""What the tests of debugging share; a file that needs more has its own of the same name."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from iterpref.sandbox import Sandbox
from iterpref.store import Store


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(workers=2) as opened:
        yield opened


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "run") as opened:
        yield opened
