"""Keys of texts hold what was written, also where YAML reads a number, a truth value or a date."""

from pathlib import Path
from typing import Any

import pytest

from iterpref.config import Config
from iterpref.config.load import load_config
from iterpref.errors import ConfigError

TEXTS = ["1.10", "1.5", "on", "no", "2024-08-01", "007", "1e5", "12:30"]


def loaded(**arguments: Any) -> Config | str:
    """The configuration, or why there is none."""
    try:
        return load_config(**arguments)
    except ConfigError as error:
        return str(error)


@pytest.mark.parametrize("text", TEXTS)
def test_defect_30_a_text_is_what_was_written(tmp_path: Path, text: str) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(f"model: {text}\nclient: {{kind: openai, model: {text}}}\nimporting: {{license: {text}}}\n")
    settings = [f"model={text}", "client.kind=openai", f"client.model={text}", f"importing.license={text}"]
    for found in (loaded(overrides=settings), loaded(path=path)):
        assert isinstance(found, Config), found
        assert (found.model, found.client.model, found.importing.license) == (text, text, text)


def test_other_keys_are_read_as_ever() -> None:
    number = loaded(overrides=["model=1.10", "seed=7", "debugging.sampling.temperature=1e-1"])
    assert isinstance(number, Config) and (number.seed, number.debugging.sampling.temperature) == (7, 0.1)
    assert "model" in str(loaded(overrides=["model=null"]))
