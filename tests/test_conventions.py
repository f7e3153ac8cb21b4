"""What the code says of itself holds: names are unique, docstrings name what exists, dependencies are what is used."""

import ast
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from iterpref.cli import app

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "iterpref"
FILES = sorted(SOURCE.rglob("*.py"))
# Distributions whose module has another name.
MODULES = {"PyYAML": "yaml", "Jinja2": "jinja2", "prometheus-client": "prometheus_client"}
SQL = re.compile(r"\b(SELECT\s.+\sFROM|INSERT\s+(OR\s|INTO)|DELETE\s+FROM|UPDATE\s+\w+\s+SET|CREATE\s+(TABLE|INDEX))\b")


def texts(path: Path) -> Iterator[str]:
    """The string constants of a file, docstrings left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {id(n.body[0].value) for n in ast.walk(tree) if isinstance(n, documented) and ast.get_docstring(n)}  # type: ignore[attr-defined]
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


def docstrings(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""


def test_public_class_names_are_unique() -> None:
    places = defaultdict(list)
    for path in FILES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(str(path.relative_to(SOURCE)))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_sql_is_written_in_the_store_only(path: Path) -> None:
    if (SOURCE / "store") not in path.parents:
        assert [text for text in texts(path) if SQL.search(text)] == []


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_files_named_in_docstrings_exist(path: Path) -> None:
    """`name.py` is a neighbour, or a path from any folder above; `a/b.py` the same."""
    above = [folder for folder in path.parents if SOURCE in (folder, *folder.parents)] + [ROOT]
    for text in docstrings(path):
        for named in re.findall(r"(?<![\w./-])((?:\w+/)*\w+\.py)\b", text):
            there = any((folder / named).is_file() for folder in above) or list(SOURCE.rglob(named))
            example = named in EXAMPLES
            assert there or example, f"{path.relative_to(SOURCE)} names {named}, which doesn't exist"


# Files of the users' that docstrings speak of.
EXAMPLES = {"solution.py", "test_a.py", "test.py", "conftest.py", "test_x.py"}


def test_verbs_named_in_docstrings_exist() -> None:
    known = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    for path in FILES:
        for text in docstrings(path):
            named = set(re.findall(r"`iterpref ([a-z]+)", text))
            assert named <= known, f"{path.relative_to(SOURCE)} names the verbs {named - known}, which don't exist"


def test_declared_dependencies_are_those_imported() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = [project["dependencies"], *(v for k, v in project["optional-dependencies"].items() if k not in TOOLS)]
    names = [re.split(r"[<>=!~\[]", entry)[0].strip() for group in groups for entry in group]
    declared = {MODULES.get(name, name) for name in names}
    imported = set()
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                imported.add(node.module.split(".")[0])
    ours = imported - set(sys.stdlib_module_names) - {"iterpref", "__future__"}
    assert declared - ours - USED_INSIDE == set(), "declared, and imported nowhere"
    assert ours - declared - BROUGHT_ALONG == set(), "imported, and declared nowhere"


# Extras of programs that are run beside the package.
TOOLS = {"dev", "docs"}
# What a declared dependency brings along, or what is imported only where the user has it.
BROUGHT_ALONG = {"huggingface_hub", "markupsafe", "pydantic_core", "pytest", "tokenizers", "safetensors"}
# Imported by programs that we write, inside the sandbox.
USED_INSIDE = {"coverage"}


def test_functions_are_short() -> None:
    lengths = []
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lengths.append(((node.end_lineno or 0) - node.lineno + 1, f"{path.relative_to(SOURCE)}:{node.name}"))
    lengths.sort()
    assert lengths[-1][0] <= 60, f"{lengths[-1][1]} has {lengths[-1][0]} lines; tell its story in several functions"
    assert lengths[len(lengths) * 9 // 10][0] <= 20
