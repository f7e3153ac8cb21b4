"""Features, a snippet or an instruction → Task: a model writes all of it in one reply, which is checked.

What is wrong with a reply is said in one word, for the funnel. Nothing is executed here.
"""

import ast
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any, Literal

from iterpref.programs import parses, syntax_tree
from iterpref.prompts import json_answer, tagged
from iterpref.prompts.own import Prompts
from iterpref.records import DraftedProgram, Message, Style, Task, TestFile, fingerprint, stays_inside

Form = Literal["function", "scenario", "contest", "own"]
FORMS: tuple[Form, ...] = ("function", "scenario", "contest")


@dataclass(frozen=True)
class Idea:
    """What one task starts from: features (nested JSON), code, or the user's own instruction; and its form."""

    form: Form
    features: str = ""
    mandatory: str = ""
    code: str = ""
    instruction: str = ""
    license: str = ""
    tests: str = "unittest"
    packages: tuple[str, ...] = ()

    def messages(self, prompts: Prompts) -> tuple[Message, ...]:
        """The question."""
        shared: dict[str, Any] = {"tests": self.tests, "packages": self.packages}
        if self.instruction:
            text = prompts.render("draft_tests", instruction=self.instruction, **shared)
        else:
            seeds = {"features": self.features, "mandatory": self.mandatory, "code": self.code}
            text = prompts.render("draft_task", form=self.form, **shared, **seeds)
        return (Message(role="user", content=text),)


class Unusable(Exception):
    """A reply that is no task; the message is the reason, in a word or two."""


@dataclass(frozen=True)
class Draft:
    """A task whose tests nobody has run yet, and the solution that came with it."""

    task: Task
    solution: str

    def by(self, client: str, call_id: str) -> "Draft":
        """The same with the solution in the task, for debugging to begin with."""
        program = DraftedProgram(program=self.solution, client=client, call_id=call_id)
        return replace(self, task=self.task.model_copy(update={"draft": program}))


def read_draft(reply: str, origin: str, license: str = "", given: str = "", packages: Sequence[str] = ()) -> Draft:
    """The task in a reply.

    Args:
        given: The user's own instruction, which the task's must hold word for word.
        packages: What may be imported beside the standard library.

    Raises:
        Unusable: A part is missing, empty, or not Python; it imports another package; the tests hold no test, or don't
            import the solution.
    """
    instruction = next((body.strip() for _, body in tagged(reply, "instruction")), "")
    written = {path: _unfenced(body) for path, body in tagged(reply, "file")}
    solution = written.pop("solution.py", "").strip("\n")
    tests = [(path, body) for path, body in written.items() if path.startswith("test") and path.endswith(".py")]
    if not instruction:
        raise Unusable("no instruction")
    if " ".join(given.split()) not in " ".join(instruction.split()):
        raise Unusable("another instruction")
    if not solution:
        raise Unusable("no solution")
    if not tests:
        raise Unusable("no tests")
    if not all(stays_inside(path) for path, _ in tests):
        raise Unusable("a path outside")
    if not all(map(parses, (solution, *(body for _, body in tests)))):
        raise Unusable("not Python")
    needed = _third_party(solution, tests)
    if others := sorted(needed - set(packages)):
        raise Unusable(f"imports {others[0]:.40}")
    style: Style = "unittest" if any(_has_tests(body) for _, body in tests) else "assert"
    at_the_top = (node for _, body in tests for node in syntax_tree(body).body)
    if style == "assert" and not any(isinstance(node, ast.Assert) for node in at_the_top):
        raise Unusable("no test method")
    if not any("solution" in body for _, body in tests):
        raise Unusable("tests ignore the solution")
    task = Task(
        task_id=f"synthetic/{fingerprint([instruction, tests])}",
        prompt=instruction,
        tests=tuple(TestFile(path=path, content=body) for path, body in sorted(tests)),
        style=style,
        packages=tuple(sorted(needed | _packages(reply) & set(packages))),
        origin=origin,
        license=license,
    )
    return Draft(task, solution)


def _has_tests(source: str) -> bool:
    """Whether some method `test...` asserts anything at all."""
    methods = [
        node
        for node in ast.walk(syntax_tree(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test")
    ]
    return any("assert" in ast.dump(method).lower() for method in methods)


def _unfenced(body: str) -> str:
    """Some models put a fence inside the tag."""
    lines = body.strip("\n").split("\n")
    if lines and lines[0].startswith("```") and lines[-1].strip() == "```":
        lines = lines[1:-1]
    return "\n".join(lines) + "\n"


def _packages(reply: str) -> set[str]:
    """What the reply says it needs."""
    body = next((body for _, body in tagged(reply, "packages")), "[]")
    names = json_answer(body, list) or []
    return {name for name in names if isinstance(name, str)}


def _third_party(solution: str, tests: Sequence[tuple[str, str]]) -> set[str]:
    """Top-level modules that the files import anywhere, beside the standard library and one another."""
    own = {"solution", *(PurePosixPath(path).parts[0].removesuffix(".py") for path, _ in tests)}
    imported: set[str] = set()
    for body in (solution, *(body for _, body in tests)):
        for node in ast.walk(syntax_tree(body)):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                imported.add(node.module.split(".")[0])
    return imported - own - sys.stdlib_module_names


def shown(tree: dict[str, object]) -> str:
    """A subtree as a prompt shows it."""
    return json.dumps(tree, indent=1, ensure_ascii=False)
