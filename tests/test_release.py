"""What is released: its version is said in one place, its metadata is whole, it is small, and public CI runs ours."""

import os
import re
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
import yaml

import iterpref

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "iterpref"
MOST_BYTES = 10 << 20  # of a wheel
LEFT_OUT = {"__pycache__"}


def packed(path: Path) -> Path:
    """The package's files, compressed as in a wheel."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for file in sorted(PACKAGE.rglob("*")):
            if file.is_file() and not LEFT_OUT & set(file.parts):
                wheel.write(file, file.relative_to(PACKAGE.parent))
    return path


def test_the_wheel_stays_small(tmp_path: Path) -> None:
    size = packed(tmp_path / "wheel.zip").stat().st_size
    assert 1 << 20 < size <= MOST_BYTES
    assert f"{size / 1e6:.0f} MB" in (ROOT / "docs" / "releasing.md").read_text(encoding="utf-8")


def test_the_version_is_said_in_one_place() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["hatch"]["version"]["path"] == "src/iterpref/__init__.py"
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["version"] == iterpref.__version__
    assert released()[0][0] == iterpref.__version__


def released() -> list[tuple[str, str]]:
    """(version, date) of the changelog's sections, the newest first."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    return re.findall(r"^## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)$", text, re.MULTILINE)


def test_the_changelog_keeps_its_form() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    sections = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert sections[0] == "[Unreleased]"
    assert len(sections) == 1 + len(released())
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.*)$", text, re.MULTILINE)) <= kinds


def test_the_citation_is_as_released() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= citation.keys()
    assert str(citation["date-released"]) == released()[0][1]


def test_public_ci_runs_ours_on_every_python_that_is_supported() -> None:
    job = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))["jobs"]["run"]
    assert ".ci/run" in [step.get("run") for step in job["steps"]]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = [line.split(" :: ")[-1] for line in project["classifiers"] if re.search(r":: 3\.\d+$", line)]
    assert job["strategy"]["matrix"]["python"] == named
    assert project["requires-python"] == f">={named[0]},<3.{int(named[-1].split('.')[1]) + 1}"
    for name in ("run", "release"):
        assert os.access(ROOT / ".ci" / name, os.X_OK)


def test_a_wheel_as_it_is_built(tmp_path: Path) -> None:
    build = pytest.importorskip("hatchling.build", reason="needs hatchling (the extra dev)")
    here = Path.cwd()
    os.chdir(ROOT)
    try:
        wheel = tmp_path / build.build_wheel(str(tmp_path))
    finally:
        os.chdir(here)
    assert wheel.stat().st_size <= MOST_BYTES
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = Parser().parsestr(archive.read(next(n for n in names if n.endswith("/METADATA"))).decode())
    assert not [name for name in names if not name.startswith("iterpref")]
    there = {f"iterpref/{file.relative_to(PACKAGE).as_posix()}" for file in PACKAGE.rglob("*") if file.is_file()}
    assert {name for name in there if "__pycache__" not in name} <= set(names)
    assert metadata["Version"] == iterpref.__version__
    assert metadata["Author"] == "IterPref contributors"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata.get_all("Project-URL") == ["Paper, https://arxiv.org/abs/2503.02783"]
    assert "Typing :: Typed" in metadata.get_all("Classifier")
    assert {"train", "serve", "ray", "docs", "dev"} == set(metadata.get_all("Provides-Extra"))
