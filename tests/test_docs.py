"""The generated reference page is current, and the README's commands exist."""

import importlib.util
import re
from pathlib import Path

import typer

from iterpref.cli import app

ROOT = Path(__file__).parent.parent


def test_the_reference_page_is_current() -> None:
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    reference = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reference)
    assert reference.PAGE.read_text(encoding="utf-8") == reference.page(), "run: python docs/reference.py"


def test_commands_named_in_the_docs_exist() -> None:
    known = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        named = set(re.findall(r"(?:^|`|bin/)iterpref ([a-z]+)", path.read_text(encoding="utf-8"), re.MULTILINE))
        assert named <= known, f"{path.name} names unknown commands: {named - known}"
