"""The public face as text, read off the code without running it: what a version promises.

python tests/face/signatures.py writes face.txt anew; a diff of it says whether the version may stay, must be a minor
one (something was added) or, from 1.0 on, a major one (something changed or went away).
"""

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import iterpref
from iterpref import pipeline

FACE = Path(__file__).parent / "face.txt"
# Of classes that hold more than they promise, what docs/python.md names.
OF_CLASS = {
    "FocalDPOTrainer": ["__init__", "dropped", "truncated", "trunk_mode", "trunk_off_reason"],
    "OpenedRun": ["store", "config", "on_progress", "folder"],
    "Store": ["open", "close", "put_tasks", "put_imported_pairs", "tasks", "task", "trajectories", "trajectory",
              "attempts", "pairs", "pair", "results"],
    "CodeReward": ["__init__", "score", "metrics"],
    "Sandbox": ["__init__", "run", "run_many", "run_script", "measure", "answers", "close", "isolation", "workers",
                "warnings"],
}  # fmt: skip


def face() -> str:
    lines = [line for name in iterpref.__all__ for line in described(name)]
    lines += [f"pipeline.{signature(node)}" for node in functions(Path(inspect.getfile(pipeline)), pipeline.__all__)]
    return "\n".join([*lines, ""])


def described(name: str) -> Iterator[str]:
    """One line of a function or a value; of a class also one a member."""
    for path in source_files(name):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name == name:
                yield signature(node)
            elif isinstance(node, ast.ClassDef) and node.name == name:
                yield f"class {name}({', '.join(map(ast.unparse, node.bases))})"
                yield from members(node)
            elif isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == name:
                yield f"{name}: {ast.unparse(node.annotation)}"


def source_files(name: str) -> list[Path]:
    """The file that defines it; of classes that need torch this is known without loading them."""
    training = Path(iterpref.__file__).parent / "training"
    apart = {"FocalDPOTrainer": "trainer.py", "FocalDPOConfig": "config.py", "METHODS": "methods.py"}
    return [training / apart[name]] if name in apart else [Path(inspect.getfile(getattr(iterpref, name)))]


def members(node: ast.ClassDef) -> Iterator[str]:
    wanted = OF_CLASS.get(node.name)
    for part in node.body:
        name = getattr(part, "name", "")
        if isinstance(part, ast.AnnAssign):
            name = ast.unparse(part.target)
        elif isinstance(part, ast.Assign):
            name = ast.unparse(part.targets[0])
        if not name or (name not in wanted if wanted is not None else name.startswith("_")):
            continue
        yield f"    {node.name}.{signature(part) if isinstance(part, ast.FunctionDef) else field(part)}"


def field(part: ast.stmt) -> str:
    """An attribute with its default; what TRL is told beside it, such as a help text, is left out."""
    value = getattr(part, "value", None)
    if isinstance(value, ast.Call) and ast.unparse(value.func) == "setting":
        part = ast.AnnAssign(part.target, part.annotation, value.args[0], simple=1)  # type: ignore[attr-defined]
    return ast.unparse(part)


def functions(path: Path, names: list[str]) -> Iterator[ast.FunctionDef]:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name in names:
            yield node


def signature(node: ast.FunctionDef) -> str:
    kinds = [ast.unparse(kind) for kind in node.decorator_list if ast.unparse(kind) in ("property", "classmethod")]
    returned = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{node.name}({ast.unparse(node.args)}){returned}" + "".join(f"  # {kind}" for kind in kinds)


if __name__ == "__main__":
    FACE.write_text(face(), encoding="utf-8")
