"""An Execution says which installed packages its verdict may depend on."""

from importlib import metadata

import pytest
from jobs import job

from iterpref.records import Execution
from iterpref.sandbox import Sandbox

YAML = f"PyYAML {metadata.version('PyYAML')}"
TESTS = {
    "assert": "assert f(1) == 2",
    "check": "def check(candidate):\n    assert candidate(1) == 2",
    "unittest": "import unittest, solution\nclass T(unittest.TestCase):\n    def test_f(self):\n"
    "        self.assertEqual(solution.f(1), 2)",
    "pytest": "from solution import f\ndef test_f():\n    assert f(1) == 2",
    "doctest": ">>> f(1)\n2",
    "calls": '{"args": "(1,)", "expected": "2"}',
    "stdio": '{"stdin": "", "stdout": "2"}\n{"stdin": "", "stdout": "2"}',
}
PROGRAMS = {
    "at its top": "import yaml\ndef f(x):\n    return x + 1\n",
    "in a function": "def f(x):\n    import yaml\n    return x + 1\n",
    "by name": "import importlib\nyaml = importlib.import_module('ya' + 'ml')\ndef f(x):\n    return x + 1\n",
}
NONE = "import json, collections.abc\ndef f(x):\n    yaml = x\n    return yaml + 1\n"
MAIN = "if __name__ == '__main__':\n    print(f(1))\n"


def of_yaml(execution: Execution) -> list[str]:
    """Without the tools of the tests. A field that a version of the records doesn't have holds nothing."""
    return [name for name in execution.model_dump().get("packages", ()) if not name.startswith("pytest ")]


@pytest.mark.parametrize("style", TESTS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_defect_35_the_execution_names_the_packages_that_were_loaded(cage: Sandbox, style: str, name: str) -> None:
    execution = cage.run(job(PROGRAMS[name] + MAIN, TESTS[style], style, entry_point="f"))
    assert execution.passed, execution.error
    assert of_yaml(execution) == [YAML]


@pytest.mark.parametrize("style", TESTS)
def test_the_standard_library_is_no_package(cage: Sandbox, style: str) -> None:
    execution = cage.run(job(NONE + MAIN, TESTS[style], style, entry_point="f"))
    assert execution.passed, execution.error
    assert of_yaml(execution) == []


ENDINGS = ["1 / 0", "import time\ndef f(x):\n    time.sleep(9)", "import os\ndef f(x):\n    os._exit(0)"]


@pytest.mark.parametrize("ending", ENDINGS)
def test_defect_35_also_where_it_fails(cage: Sandbox, ending: str) -> None:
    made = job(f"import yaml\n{ending}", "assert f(1) == 2")
    made = made.model_copy(update={"limits": made.limits.model_copy(update={"wall_s": 1.0})})
    execution = cage.run(made)
    assert not execution.passed
    assert of_yaml(execution) == [YAML]


def test_defect_35_preloaded_packages_count_where_an_import_names_them() -> None:
    with Sandbox(workers=1, preload=["yaml"]) as sandbox:
        seen = [sandbox.run(job(program, TESTS["assert"])) for program in PROGRAMS.values()]
        by_a_test = sandbox.run(job(NONE, "import yaml\nassert f(1) == 2 and yaml"))
    assert [of_yaml(execution) for execution in (*seen, by_a_test)] == [[YAML], [YAML], [], [YAML]]


def test_a_module_beside_the_program_is_no_package(cage: Sandbox) -> None:
    made = job("import yaml\ndef f(x):\n    return x + yaml.STEP\n", TESTS["assert"])
    files = ({"path": "yaml.py", "content": "STEP = 1\n"},)
    execution = cage.run(type(made).model_validate(made.model_dump() | {"files": files}))
    assert execution.passed, execution.error
    assert of_yaml(execution) == []


def test_what_a_program_says_of_packages_is_only_looked_up(cage: Sandbox) -> None:
    """It can name what it didn't load, but nothing that isn't installed."""
    program = "import sys, types\nsys.modules['no_such_package'] = types.ModuleType('x')\ndef f(x):\n    return x + 1\n"
    execution = cage.run(job(program, TESTS["assert"]))
    assert (execution.verdict, of_yaml(execution)) == ("passed", [])


def test_executions_stored_before_there_was_this_field_are_read() -> None:
    old = '{"verdict": "passed", "trust": "oracle", "isolation": "zygote"}'
    assert of_yaml(Execution.model_validate_json(old)) == []


def test_arrow_allocates_as_everything_else_does(cage: Sandbox) -> None:
    """Its own allocator wants 1 GiB of address space, without which honest pandas programs failed now and then."""
    program = "import pyarrow\ndef f():\n    return pyarrow.default_memory_pool().backend_name\n"
    execution = cage.run(job(program, "assert f() == 'system', f()", entry_point="f"))
    assert execution.passed, execution.error
