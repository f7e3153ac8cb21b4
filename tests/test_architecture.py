"""The layout of docs/design.md, checked: imports point down, and `import iterpref` stays light."""

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "iterpref"

# Modules of one level don't import each other, but for the level that builds upwards within itself.
LEVELS = [
    {"__main__"},
    {"cli"},
    {"demo", "progress"},
    {"pipeline"},
    {"viewer", "service"},
    {"synthesis", "debugging", "pairing", "diagnosis", "training", "evaluation", "analysis", "importing", "exporting"}
    | {"rewards"},
    {"opening"},
    {"opened_run"},
    {"executor", "config"},
    {"clients", "sandbox"},
    {"playground", "task_tests"},
    {"store", "parallel", "prompts", "feedback", "rows", "statistics", "line_diff"},
    {"model_identity", "model_source", "packages", "statements", "listening", "waiting"},
    {"records", "errors", "programs", "section", "files", "run_folder", "visible", "doing"},
]
LEVEL = {name: level for level, names in enumerate(LEVELS) for name in names}

# As docs/design.md lists: of these packages, others import what `__all__` of the face names, and these modules only.
PUBLIC = {
    "iterpref.sandbox": {f"iterpref.sandbox.{name}" for name in ("call_tables", "doctor", "remote", "surroundings")},
    "iterpref.training": set(),
    "iterpref.pairing": set(),
    "iterpref.evaluation": set(),
    "iterpref.rewards": set(),
    "iterpref.service": set(),
}


def module_of(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return parts[0]


def imported_modules(path: Path, of: ast.AST | None = None) -> set[str]:
    """First-level names of our own that a file imports, anywhere in it, or in a part of it."""
    found = set()
    for node in ast.walk(of or ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "iterpref":
            parts = node.module.split(".")
            found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {a.name.split(".")[1] for a in node.names if a.name.startswith("iterpref.")}
        if isinstance(node, ast.ImportFrom) and node.level:
            inside = len(path.relative_to(SOURCE).parts) > node.level
            assert inside, f"{path}: a relative import leaves its package"
    return found


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_point_down(path: Path) -> None:
    own = module_of(path)
    if own == "__init__":
        typed = next(node for node in ast.parse(path.read_text()).body if isinstance(node, ast.If))
        assert ast.unparse(typed.test) == "TYPE_CHECKING"
        assert imported_modules(path) == imported_modules(path, typed), "importing iterpref must import nothing of it"
        return
    for other in imported_modules(path) - {own}:
        assert other in LEVEL, f"{path.name} imports iterpref.{other}, which no level of the architecture names"
        assert LEVEL[other] > LEVEL[own], f"{own} (level {LEVEL[own]}) imports {other} (level {LEVEL[other]})"


def test_every_module_has_a_level() -> None:
    modules = {module_of(path) for path in SOURCE.rglob("*.py")} - {"__init__"}
    assert modules <= LEVEL.keys()


def test_records_import_nothing_of_ours() -> None:
    assert {name for path in (SOURCE / "records").glob("*.py") for name in imported_modules(path)} <= {"records"}


@pytest.mark.parametrize("face", PUBLIC)
def test_other_packages_use_the_public_faces(face: str) -> None:
    offered = {f"{face}.{name}" for name in importlib.import_module(face).__all__} | PUBLIC[face]
    own = SOURCE / face.split(".")[1]
    for path in sorted(SOURCE.rglob("*.py")):
        if own in path.parents:
            continue
        for module, name in imported_names(path):
            if module == face and name:
                assert f"{face}.{name}" in offered, f"{path}: imports {name} from {face}, which does not offer it"
            elif module.startswith(f"{face}."):
                assert module in PUBLIC[face], f"{path}: imports {module}, which is not a public module of {face}"


def imported_names(path: Path) -> Iterator[tuple[str, str]]:
    """(module, name in it) of each absolute import, anywhere in a file; "" where the module itself is imported."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and not node.level:
            yield from ((node.module or "", alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)


def test_only_parallel_imports_ray() -> None:
    for path in SOURCE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert path.name == "parallel.py" or "import ray" not in text, path


@pytest.mark.parametrize(
    "module", ["iterpref", "iterpref.cli", "iterpref.records", "iterpref.store", "iterpref.config"]
)
def test_import_is_light(module: str) -> None:
    heavy = {"torch", "ray", "fastapi", "transformers", "trl", "datasets", "openai"}
    program = f"import sys, {module}; print(' '.join(sorted(set(sys.modules) & {heavy!r})))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == []


def test_the_pipeline_can_be_read_in_one_go() -> None:
    """What takes more than a few lines lives in its stage."""
    assert len((SOURCE / "pipeline.py").read_text(encoding="utf-8").splitlines()) <= 150
