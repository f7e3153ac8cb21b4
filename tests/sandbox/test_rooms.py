"""Who may import what in the sandbox: what runs beside a program stands on the standard library alone.

A room is a file or a folder at the top of the sandbox; `inside` counts as its own parts. Few rooms, few arrows between
them and no circle, so that the way of a job can be read off `ls`.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import iterpref.sandbox

ROOT = Path(iterpref.sandbox.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
INSIDE = [path for path in FILES if ROOT / "inside" in path.parents]
HOST = [path for path in FILES if path not in INSIDE]

FROM_INSIDE = {  # what both sides must agree on
    "inside.values.request", "inside.rungs.table", "inside.worker.boot", "inside.worker.wire",
    "inside.harness.assert_syntax", "inside.harness.flip_asserts", "inside.values.codec",
    "inside.values.stand_ins", "inside.values.texts",
}  # fmt: skip
FROM_ITERPREF = {"records", "errors", "programs"}
LAZY = {  # imported where a run needs it
    ("inside.harness.pytest_tests", "pytest"), ("inside.harness.measuring", "coverage"),
}  # fmt: skip


def name_of(path: Path) -> str:
    """`inside.values.codec`; a package has the name of its folder."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {name_of(path): path for path in FILES}


def own_imports(path: Path) -> Iterator[str]:
    """Modules of the sandbox that a file imports, anywhere in it."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            assert node.level <= len(package) + 1, f"{path}: a relative import leaves the sandbox"
            module = ".".join([*package[: len(package) - node.level + 1], *filter(None, [node.module])])
            for alias in node.names:
                inner = f"{module}.{alias.name}".lstrip(".")
                yield inner if inner in NAMES else module


def other_imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module or ""
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("path", INSIDE, ids=name_of)
def test_inside_stands_on_the_standard_library(path: Path) -> None:
    assert all(name.startswith("inside") for name in own_imports(path))
    others = {name.split(".")[0] for name in other_imports(path)} - sys.stdlib_module_names
    assert {(name_of(path), name) for name in others} <= LAZY
    at_import = {alias.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.Import)
                 for alias in node.names}  # fmt: skip
    assert others.isdisjoint(at_import)


@pytest.mark.parametrize("path", HOST, ids=name_of)
def test_the_host_shares_little_with_inside(path: Path) -> None:
    assert {name for name in own_imports(path) if name.startswith("inside")} <= FROM_INSIDE
    ours = {name.split(".")[1] for name in other_imports(path) if name.startswith("iterpref.")}
    assert ours <= FROM_ITERPREF | ({"parallel"} if name_of(path) == "remote.cluster" else set())


def arrows(depth_of_inside: int) -> set[tuple[str, str]]:
    """(room, room that it imports); at `depth_of_inside` 2 the parts of `inside` are rooms."""

    def room(name: str) -> str:
        parts = name.split(".")
        return ".".join(parts[: depth_of_inside if parts[0] == "inside" else 1])

    pairs = {(room(name), room(other)) for name, path in NAMES.items() for other in own_imports(path)}
    return {(one, other) for one, other in pairs if one != other}


@pytest.mark.parametrize("depth_of_inside", [1, 2])
def test_few_rooms_few_arrows_no_circle(depth_of_inside: int) -> None:
    found = arrows(depth_of_inside)
    rooms = {room for pair in found for room in pair}
    assert len(rooms) <= 16, sorted(rooms)
    assert len(found) <= 36, sorted(found)
    graph: dict[str, set[str]] = {room: {other for one, other in found if one == room} for room in rooms}
    TopologicalSorter(graph).prepare()  # raises where there is a circle


def test_files_import_in_no_circle() -> None:
    graph = {name: set(own_imports(path)) - {name} for name, path in NAMES.items()}
    assert set(TopologicalSorter(graph).static_order()) >= NAMES.keys()  # raises where there is a circle


def test_the_usage_block_works_alone(tmp_path: Path) -> None:
    """As written in the docstring, and without anything that only other parts of the package need."""
    block = re.findall(r"^    .*\n|^\n(?=    )", iterpref.sandbox.__doc__ or "", re.MULTILINE)
    usage = "".join(line.removeprefix("    ") for line in block)
    heavy = ["torch", "transformers", "pandas", "numpy", "ray", "sqlite3", "iterpref.store", "iterpref.parallel"]
    script = f"{usage}\nimport sys\nprint(sorted(set(sys.modules) & set({heavy})))"
    script = script.replace("Sandbox(workers=2)", "Sandbox(workers=1, min_isolation='rlimits')")
    (tmp_path / "usage.py").write_text(script)
    command = [sys.executable, "-W", "ignore", "usage.py"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ran.stdout == "failed double(2) returned 6, expected 4\n[]\n"
