"""Tests that run in the program's own process: asserts, `check(candidate)`, unittest, doctest, pytest.

In: the request, the program's namespace. Out: one `["test", name, verdict, error, case]` report a test. A program that
wants to can forge these (trust `in_process`); the host only checks that every test it counted in the source reported.
Standard library only; unittest, doctest and pytest are imported when needed. Not here: expected values kept outside
(oracle.py, mode `calls`), what a control is (controls.py).
"""

import ast
import builtins
import os
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .codec import opaque_text
from .controls import WRONG_TEXT, Control
from .frames import Sources, describe, shorten
from .limits import release_spare_memory

Report = Callable[..., None]
Case = dict[str, str]
_RECORD = "__iterpref_compare__"
_CUT = 300


def is_test_statement(statement: ast.stmt) -> bool:
    """Whether a top-level statement of an `assert` file counts as a test; imports, definitions and set-up don't."""
    return isinstance(statement, ast.Assert) or (
        isinstance(statement, ast.For | ast.While | ast.With | ast.Try | ast.If)
        and any(isinstance(node, ast.Assert) for node in ast.walk(statement))
    )


def check_call(statement: ast.stmt) -> ast.Call | None:
    """The call if the statement is `check(f)`."""
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        call = statement.value
        if isinstance(call.func, ast.Name) and call.func.id == "check":
            return call
    return None


def entry(name: str, namespace: dict[str, Any]) -> Any:
    """What the program calls `name`: a global, or a method of a new `Solution`, as `twoSum` or `Solution().twoSum`."""
    owner, _, method = name.rpartition(".")
    if not owner and name in namespace:
        return namespace[name]
    made = namespace.get(owner.removesuffix("()") or "Solution")
    if isinstance(made, type) and hasattr(made, method):
        return getattr(made(), method)
    if not owner and hasattr(builtins, name):
        return getattr(builtins, name)
    raise NameError(f"name {name!r} is not defined")


def run_asserts(request: Mapping[str, Any], namespace: dict[str, Any], report: Report, sources: Sources) -> None:
    """Each top-level assert is a test; what stands between them is set-up, and its failure ends the file."""
    control: Control | None = request.get("control")
    for path, content in request["tests"]:
        sources.add(path, path, content)
        cases = _record_comparisons(namespace)
        turned = control.trees[path].body if control else None
        for number, statement in enumerate(ast.parse(content).body):
            error = _attempt(turned[number] if turned else statement, path, namespace, cases, control)
            if error is None and not is_test_statement(statement):
                continue
            error = error or (control.reached() if control else None)
            _report_test(report, f"{path} line {statement.lineno}", error, sources, cases)
            if error is not None and not is_test_statement(statement):
                return


def run_check(request: Mapping[str, Any], namespace: dict[str, Any], report: Report, sources: Sources) -> None:
    """HumanEval's form: the file defines `check(candidate)`, which is called once with the entry point."""
    for path, content in request["tests"]:
        sources.add(path, path, content)
        control: Control | None = request.get("control")
        cases = _record_comparisons(namespace)
        tree = control.trees[path] if control else ast.parse(content)
        tree.body = [statement for statement in tree.body if check_call(statement) is None]
        name = request["entry_point"]
        if name not in namespace and name.isidentifier() and hasattr(namespace.get("Solution"), name):
            name = f"Solution().{name}"
        call = ast.parse(f"check({name})", path)
        error = None
        for body in (tree, call):
            error = error or _attempt(body, path, namespace, cases, control)
        error = error or (control.reached() if control else None)
        _report_test(report, path, error, sources, cases)


def _attempt(
    code: ast.stmt | ast.Module, path: str, namespace: dict[str, Any], cases: list[Case], control: Control | None
) -> BaseException | None:
    module = code if isinstance(code, ast.Module) else ast.Module([code], [])
    recorded = ast.fix_missing_locations(module if control else _Recorder().visit(module))
    namespace.update(control.names if control else {})
    cases.clear()
    try:
        exec(compile(recorded, path, "exec", dont_inherit=True), namespace)
    except BaseException as error:
        release_spare_memory()
        return error
    return None


class _Recorder(ast.NodeTransformer):
    """`assert a == b` → `assert __iterpref_compare__(a, b, "a", "b")`, which keeps both sides when they differ."""

    def visit_Assert(self, node: ast.Assert) -> ast.Assert:
        test = node.test
        if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq):
            left, right = test.left, test.comparators[0]
            texts = [ast.Constant(shorten(ast.unparse(side), _CUT)) for side in (left, right)]
            node.test = ast.Call(ast.Name(_RECORD, ast.Load()), [left, right, *texts], [])
        return node


def _record_comparisons(namespace: dict[str, Any]) -> list[Case]:
    cases: list[Case] = []

    def compare(left: Any, right: Any, left_text: str, right_text: str) -> bool:
        equal = bool(left == right)
        if not equal:
            cases.append({"call": left_text, "got": opaque_text(left), "expected": opaque_text(right)})
        return equal

    namespace[_RECORD] = compare
    return cases


def _report_test(report: Report, name: str, error: BaseException | None, sources: Sources, cases: list[Case]) -> None:
    if error is None:
        report("test", name, "passed", None, None)
    elif isinstance(error, AssertionError):
        report("test", name, "failed", describe(error, sources), cases[-1] if cases else None)
    else:
        report("test", name, "error", describe(error, sources), None)


def run_doctest(request: Mapping[str, Any], namespace: dict[str, Any], report: Report, sources: Sources) -> None:
    """Each `>>>` example is a test."""
    import doctest

    class Runner(doctest.DocTestRunner):
        def report_start(self, out: Any, test: Any, example: Any) -> None: ...

        def report_success(self, out: Any, test: Any, example: Any, got: str) -> None:
            report("test", f"{test.name} line {example.lineno + 1}", "passed", None, None)

        def report_failure(self, out: Any, test: Any, example: Any, got: str) -> None:
            case = {"call": shorten(example.source.strip(), _CUT), "got": shorten(got.strip(), _CUT)}
            case["expected"] = shorten(example.want.strip(), _CUT)
            failure = {
                "type": "AssertionError",
                "text": f"{case['call']} gave {case['got']}, expected {case['expected']}",
            }
            report("test", f"{test.name} line {example.lineno + 1}", "failed", failure, case)

        def report_unexpected_exception(self, out: Any, test: Any, example: Any, exc_info: Any) -> None:
            failure = describe(exc_info[1], sources)
            report("test", f"{test.name} line {example.lineno + 1}", "error", failure, None)

    for path, content in request["tests"]:
        test = doctest.DocTestParser().get_doctest(content, namespace, path, path, 0)
        for example in test.examples if request.get("control") else ():
            if example.want:
                example.want = f"{WRONG_TEXT}\n"
                example.exc_msg = example.exc_msg and example.want
        Runner(verbose=False).run(test, out=lambda _: None, clear_globs=False)


def run_unittest(request: Mapping[str, Any], namespace: dict[str, Any], report: Report, sources: Sources) -> None:
    """Every test of every file, by unittest's own loader; a failing subtest fails its test."""
    import unittest

    class Result(unittest.TestResult):
        def addSuccess(self, test: Any) -> None:
            if test.id() not in failed:
                report("test", test.id(), "passed", None, None)

        def addError(self, test: Any, err: Any) -> None:
            report("test", test.id(), "error", describe(err[1], sources), None)

        def addFailure(self, test: Any, err: Any) -> None:
            report("test", test.id(), "failed", describe(err[1], sources), None)

        def addSkip(self, test: Any, reason: str) -> None:
            report("test", test.id(), "skipped", {"type": "SkipTest", "text": shorten(str(reason), _CUT)}, None)

        def addExpectedFailure(self, test: Any, err: Any) -> None:
            self.addSkip(test, "expected to fail") if control else self.addSuccess(test)

        def addUnexpectedSuccess(self, test: Any) -> None:
            unexpected = {"type": "AssertionError", "text": "AssertionError: unexpected success"}
            report("test", test.id(), "failed", unexpected, None)

        def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
            if err is not None:
                failed.add(test.id())
                verdict = "failed" if issubclass(err[0], test.failureException) else "error"
                report("test", test.id(), verdict, describe(err[1], sources), None)

    control: Control | None = request.get("control")
    failed: set[str] = set()
    loader, result = unittest.TestLoader(), Result()
    for path, content in request["tests"]:
        code = control.trees[path] if control else content
        module = _import_tests(path, content, code, report, sources) if path.endswith(".py") else None
        if module is not None:
            suite = loader.loadTestsFromModule(module)
            if control:
                for test in _members(suite):
                    control.wrap(test)
            suite.run(result)


def _members(suite: Any) -> Iterator[Any]:
    for part in suite:
        yield from _members(part) if hasattr(part, "__iter__") else [part]


def _import_tests(
    path: str, content: str, code: str | ast.Module, report: Report, sources: Sources
) -> types.ModuleType | None:
    name = path.removesuffix(".py").replace("/", ".")
    module = types.ModuleType(name)
    module.__file__ = os.path.abspath(path)
    sys.modules[name] = module
    sources.add(module.__file__, path, content)
    try:
        exec(compile(code, module.__file__, "exec", dont_inherit=True), module.__dict__)
    except BaseException as error:
        release_spare_memory()
        report("test", f"{name} (import)", "error", describe(error, sources), None)
        return None
    return module


def run_pytest(request: Mapping[str, Any], namespace: dict[str, Any], report: Report, sources: Sources) -> None:
    """pytest without the host's configuration, conftest files or plugins; results come from a plugin of ours."""
    import pytest

    class Plugin:
        @pytest.hookimpl(hookwrapper=True)
        def pytest_runtest_makereport(self, item: Any, call: Any) -> Any:
            outcome = yield
            result = outcome.get_result()
            if result.when == "call" or result.outcome != "passed":
                verdict = {"passed": "passed", "skipped": "skipped"}.get(result.outcome, "failed")
                error = describe(call.excinfo.value, sources) if call.excinfo else None
                if verdict == "failed" and call.excinfo and not call.excinfo.errisinstance(AssertionError):
                    verdict = "error"
                report("test", item.nodeid, verdict, error, None)

        def pytest_collectreport(self, report: Any) -> None:
            if report.failed:
                text = shorten(str(report.longrepr), _CUT)
                tell("test", f"{report.nodeid} (import)", "error", {"type": "CollectError", "text": text}, None)

    class Controlled(Plugin):
        @pytest.hookimpl(hookwrapper=True)
        def pytest_runtest_call(self, item: Any) -> Any:
            outcome = yield
            if control and outcome.excinfo is None:
                outcome.force_exception(control.reached())

    control: Control | None = request.get("control")
    tell = report
    for path, content in request["tests"]:
        sources.add(os.path.abspath(path), path, content)
    here = os.getcwd()  # `confcutdir` too: else pytest looks into every folder up to the root
    options = ["-q", "--noconftest", "-c", os.devnull, "--rootdir", here, "--confcutdir", here]
    options += ["-p", "no:cacheprovider"]
    paths = [path for path, _ in request["tests"] if path.endswith(".py")]
    pytest.main([*options, *paths], plugins=[Controlled() if control else Plugin()])


MODES: dict[str, Callable[[Mapping[str, Any], dict[str, Any], Report, Sources], None]] = {
    "assert": run_asserts,
    "check": run_check,
    "doctest": run_doctest,
    "unittest": run_unittest,
    "pytest": run_pytest,
}
