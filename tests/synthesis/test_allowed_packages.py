"""Packages: drafts may import those of a list, and a task that needs what the sandbox lacks isn't scored."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_synthesize import reply
from typer.testing import CliRunner

from iterpref.cli import app
from iterpref.errors import ConfigError
from iterpref.evaluation.evaluate import preflight
from iterpref.executor import lacking_packages
from iterpref.programs import fenced
from iterpref.prompts import render
from iterpref.records import Task, TestFile
from iterpref.sandbox import Sandbox
from iterpref.store import Store
from iterpref.synthesis.draft import Unusable, read_draft

LOCAL = "def double(x):\n    import numpy.linalg\n    return 2 * x"
MISSING = "no_such_module_at_all"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(workers=1) as opened:
        yield opened


@pytest.mark.parametrize(
    ("solution", "allowed", "reason"),
    [
        pytest.param("import requests\ndouble = int", (), "imports requests", id="none allowed"),
        pytest.param("from sklearn.svm import SVC\ndouble = int", ("numpy",), "imports sklearn", id="another one"),
        pytest.param(LOCAL, ("pandas",), "imports numpy", id="within a function"),
    ],
)
def test_a_draft_that_imports_another_package(solution: str, allowed: tuple[str, ...], reason: str) -> None:
    with pytest.raises(Unusable, match=f"^{reason}$"):
        read_draft(reply(solution=solution), "o", packages=allowed)


def test_a_draft_says_what_it_imports() -> None:
    made = reply(solution=LOCAL).replace("<packages>[]", '<packages>["pandas", "torch"]')
    task = read_draft(made, "o", packages=("numpy", "pandas", "scipy")).task
    assert task.packages == ("numpy", "pandas"), "what is imported, and what of the list the reply names"
    helper = reply().replace("<packages>", '<file path="test_helper.py">\nimport json\n</file>\n<packages>')
    helper = helper.replace("import unittest", "import unittest\nimport test_helper\nfrom .test_helper import json")
    assert read_draft(helper, "o").task.packages == ()


@pytest.mark.parametrize("name", ["draft_task", "draft_tests"])
def test_the_question_names_the_packages(name: str) -> None:
    seeds = {
        "features": "{}",
        "mandatory": "a",
        "code": "",
        "form": "function",
        "tests": "unittest",
        "instruction": "x",
    }
    plain, more = (render(name, packages=packages, **seeds) for packages in ((), ("numpy", "pandas")))
    assert "- Standard library only, no network" in plain
    assert plain.endswith("<packages>[]</packages>")
    assert "- Standard library and numpy, pandas only, no network" in more


def test_what_the_sandbox_lacks(sandbox: Sandbox) -> None:
    names = ["yaml", MISSING, "pyyaml", "json", "no-such-distribution"]
    assert lacking_packages(sandbox, names) == [MISSING, "no-such-distribution"]
    assert lacking_packages(sandbox, names, as_imported=True) == [MISSING, "pyyaml", "no-such-distribution"]
    assert lacking_packages(sandbox, []) == []


@pytest.mark.parametrize(
    ("package", "said"),
    [
        pytest.param(MISSING, f"the sandbox's Python has no module {MISSING}", id="missing"),
        pytest.param("scikit-learn", "'scikit-learn' can't be imported; expected names as in import", id="no name"),
    ],
)
def test_a_missing_package_is_named_before_anything_is_asked(tmp_path: Path, package: str, said: str) -> None:
    settings = ["client.kind=replay", f"client.model={tmp_path / 'none.jsonl'}", "sandbox.workers=1",
                f"synthesis.packages={package}"]  # fmt: skip
    words = [word for setting in settings for word in ("--set", setting)]
    done = CliRunner().invoke(app, ["synthesize", "--run", str(tmp_path / "run"), *words])
    assert isinstance(done.exception, ConfigError)
    assert said in str(done.exception)


def needing(name: str, *packages: str, reference: str | None = None) -> Task:
    tests = (TestFile(path="t.py", content="assert f(1) == 2\nassert f(3) == 6"),)
    return Task(task_id=name, prompt=f"{name}: double x.", tests=tests, style="assert", entry_point="f",
                packages=packages, reference=reference)  # fmt: skip


def test_a_task_that_needs_it_is_left_out_of_debugging(tmp_path: Path) -> None:
    right = {"messages": [{"role": "user", "content": "there: double x."}], "completion": fenced("f = lambda x: 2 * x")}
    (tmp_path / "calls.jsonl").write_text(json.dumps(right))
    with Store.open(tmp_path / "run") as store:
        store.put_tasks([needing("there", "yaml"), needing("not there", "yaml", MISSING)])
    settings = ["client.kind=replay", f"client.model={tmp_path / 'calls.jsonl'}", "sandbox.workers=1"]
    words = [word for setting in settings for word in ("--set", setting)]
    done = CliRunner().invoke(app, ["debug", "--run", str(tmp_path / "run"), *words, "--json"])
    assert done.exit_code == 0, done.exception
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["passed"], found["left_out"]) == (1, 1)
    cause = f"needs {MISSING}, which the sandbox's Python lacks; install it there"
    assert found["left_out_tasks"] == [{"task": "not there", "cause": cause}]


def test_a_task_that_needs_it_is_broken_in_evaluation(sandbox: Sandbox) -> None:
    failing = f"import {MISSING}\nf = lambda x: 2 * x"
    tasks = [needing("a", MISSING), needing("b", MISSING, "yaml", reference=failing), needing("c", "yaml"),
             needing("d", MISSING, reference="f = lambda x: 2 * x")]  # fmt: skip
    found = preflight(tasks, sandbox)
    assert found == dict.fromkeys(("a", "b"), f"needs {MISSING}, which the sandbox's Python lacks")
