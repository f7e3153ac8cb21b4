"""Where the published benchmark files are on a development machine; tests that need them skip without."""

import os
from pathlib import Path

import pytest


def shared(name: str) -> str:
    root = Path(os.environ.get("ITERPREF_SHARED_DATA") or Path(__file__).parents[3] / "shared" / "data")
    path = root / name
    if not path.is_file():
        pytest.skip(f"needs the published file {name} (set ITERPREF_SHARED_DATA to a folder that has it)")
    return str(path)
