"""Stores for import tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from iterpref.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "run") as opened:
        yield opened
