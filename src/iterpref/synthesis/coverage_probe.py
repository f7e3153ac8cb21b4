"""Line and branch coverage of a program by a task's tests, measured by the package coverage inside the sandbox.

The tests run in the program's process here, whatever their style; verdicts come from ordinary runs only.
"""

import json
from typing import NamedTuple

from iterpref.records import Execution, Task, TestFile
from iterpref.sandbox import Job

MARK = "iterpref-coverage "

# Runs as a script of its own: the payload holds the program, its prefix and the tests.
_SCRIPT = """\
import ast, contextlib, doctest, io, json, sys, types, unittest
import coverage

payload = json.loads({payload!r})
with open("measured_solution.py", "w") as file:
    file.write(payload["program"])
sys.modules["measured_solution"] = module = types.ModuleType("measured_solution")
sys.modules[payload["module"]] = module
namespace = module.__dict__


def run_tests(style, path, content):
    if style == "calls":
        special = {{"inf": float("inf"), "nan": float("nan")}}
        for line in content.splitlines():
            row = json.loads(line) if line.strip() else {{}}
            if "args" in row:
                args, kwargs = eval(row["args"], special), eval(row.get("kwargs", "{{}}"), special)
                with contextlib.suppress(Exception):
                    namespace[payload["entry_point"]](*args, **kwargs)
    elif style == "doctest":
        test = doctest.DocTestParser().get_doctest(content, namespace, path, path, 0)
        doctest.DocTestRunner(verbose=False).run(test, out=lambda _: None, clear_globs=False)
    elif style in ("unittest", "pytest"):
        tests = types.ModuleType(path.removesuffix(".py"))
        exec(compile(content, path, "exec"), tests.__dict__)
        suite = unittest.defaultTestLoader.loadTestsFromModule(tests)
        suite.run(unittest.TestResult())
        for name, value in list(tests.__dict__.items()):
            if name.startswith("test") and callable(value) and not isinstance(value, type):
                with contextlib.suppress(BaseException):
                    value()
    else:
        for statement in ast.parse(content).body:
            with contextlib.suppress(Exception):
                exec(compile(ast.Module([statement], []), path, "exec"), namespace)
        if style == "check":
            with contextlib.suppress(Exception):
                namespace["check"](namespace[payload["entry_point"]])


cover = coverage.Coverage(branch=True, data_file=None, include=["*measured_solution.py"], config_file=False)
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    exec(compile(payload["prefix"], "<prefix>", "exec"), namespace)
    cover.start()
    with contextlib.suppress(BaseException):
        exec(compile(payload["program"], "measured_solution.py", "exec"), namespace)
        for path, content in payload["tests"]:
            run_tests(payload["style"], path, content)
    cover.stop()
    cover.json_report(outfile="report.json")
with open("report.json") as file:
    summary = json.load(file)["totals"]
print({mark!r} + json.dumps(summary))
"""


class Coverage(NamedTuple):
    """Shares of the program's lines and branches that its tests reach; 1.0 for a program without branches."""

    lines: float
    branches: float


def coverage_job(task: Task, program: str) -> Job:
    """The job whose standard output is the measurement; its verdict means nothing."""
    payload = {
        "program": program,
        "prefix": task.prefix,
        "module": task.program_path.removesuffix(".py").replace("/", "."),
        "style": task.style,
        "entry_point": task.entry_point,
        "tests": [[test.path, test.content] for test in task.tests],
    }
    # Tracing is slow, and all tests are in one script.
    slow = {"cpu_s": task.limits.cpu_s * 4 + 2, "wall_s": task.limits.wall_s * 2 + 10}
    together = {"call_cpu_s": None, "call_wall_s": None}
    return Job(
        program=_SCRIPT.format(payload=json.dumps(payload), mark=MARK),
        tests=(TestFile(path="cases.jsonl", content='{"stdin": "", "stdout": ""}'),),
        style="stdio",
        limits=task.limits.model_copy(update=slow | together),
    )


def read_coverage(execution: Execution) -> Coverage | None:
    """The measurement in a run's output; None where the run did not come to its end."""
    line = next((text for text in reversed(execution.stdout.split("\n")) if text.startswith(MARK)), None)
    if line is None:
        return None
    totals = json.loads(line.removeprefix(MARK))
    return Coverage(
        lines=_share(totals["covered_lines"], totals["num_statements"]),
        branches=_share(totals["covered_branches"], totals["num_branches"]),
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0
