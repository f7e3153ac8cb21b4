"""The public face: each name is there, is loaded when asked for, is documented, and doesn't change unsaid."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from signatures import FACE, face

import iterpref
from iterpref import pipeline

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")


def test_the_page_and_the_face_name_the_same() -> None:
    table = PAGE.split("|---|---|\n")[1].split("\n\n")[0]
    named = {name for name in re.findall(r"`([A-Za-z_]+)`", table)}
    assert named - {"iterpref"} == set(iterpref.__all__)


def test_promised_signatures_change_only_on_purpose() -> None:
    assert FACE.read_text(encoding="utf-8") == face(), (
        "the public face changed: a minor version, and a line in CHANGELOG.md; python tests/face/signatures.py notes it"
    )


def test_every_name_is_known_to_type_checkers_and_at_run_time() -> None:
    typed = next(node for node in ast.parse(Path(iterpref.__file__).read_text()).body if isinstance(node, ast.If))
    imported = [alias.name for node in typed.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert sorted(imported) == sorted(iterpref.__all__)
    assert set(iterpref.__all__) <= set(dir(iterpref))
    for name in iterpref.__all__:
        assert getattr(iterpref, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        iterpref.nonsense  # noqa: B018


def test_every_verb_that_is_a_step_is_a_function_of_the_pipeline() -> None:
    for name in pipeline.__all__:
        assert (getattr(pipeline, name).__doc__ or "").strip(), name


def test_only_the_trainer_and_its_settings_load_torch() -> None:
    light = [name for name in iterpref.__all__ if name not in ("FocalDPOConfig", "FocalDPOTrainer")]
    code = f"import sys\nfrom iterpref import {', '.join(light)}, pipeline\nprint('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
