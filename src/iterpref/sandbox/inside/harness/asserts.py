"""Tests that run in the program's own process: asserts, `check(candidate)`, and by style all others.

In: the request, the program's namespace. Out: one `["test", name, verdict, error, case]` report a test. A program that
wants to can forge these (trust `in_process`); the host only checks that every test it counted in the source reported.
Standard library only. Not here: unittest, doctest and pytest (frameworks.py), expected values kept outside (mode
`calls`), what a control is (negative_control.py).
"""

import ast
import builtins
from collections.abc import Callable, Mapping
from typing import Any

from ..linux.limits import release_spare_memory
from .comparisons import Case, comparisons, record_comparisons
from .frameworks import run_doctest, run_pytest, run_unittest
from .negative_control import Control
from .tracebacks import Sources, describe

Report = Callable[..., None]


def test_statements(body: list[ast.stmt]) -> list[ast.stmt]:
    """The top-level statements of an `assert` file that count as tests; imports, definitions and set-up don't.

    Asserts, compound statements with asserts in them, and calls of the file's own functions with asserts in them:
    `test_f()`, `asyncio.run(main())`.
    """
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    asserting = {node.name for node in body if isinstance(node, functions) and _asserts(node)}
    compound = ast.For | ast.While | ast.With | ast.Try | ast.If
    return [
        node
        for node in body
        if isinstance(node, ast.Assert)
        or (isinstance(node, compound) and _asserts(node))
        or (isinstance(node, ast.Expr) and any(isinstance(n, ast.Name) and n.id in asserting for n in ast.walk(node)))
    ]


def _asserts(node: ast.AST) -> bool:
    return any(isinstance(part, ast.Assert) for part in ast.walk(node))


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
        cases = comparisons(namespace)
        turned = control.trees[path].body if control else None
        body = ast.parse(content).body
        counted = set(test_statements(body))
        for number, statement in enumerate(body):
            error = _attempt(turned[number] if turned else statement, path, namespace, cases, control)
            if error is None and statement not in counted:
                continue
            error = error or (control.reached() if control else None)
            _report_test(report, f"{path} line {statement.lineno}", error, sources, cases)
            if error is not None and statement not in counted:
                return


def run_check(request: Mapping[str, Any], namespace: dict[str, Any], report: Report, sources: Sources) -> None:
    """HumanEval's form: the file defines `check(candidate)`, which is called once with the entry point."""
    for path, content in request["tests"]:
        sources.add(path, path, content)
        control: Control | None = request.get("control")
        cases = comparisons(namespace)
        tree = control.trees[path] if control else ast.parse(content)
        tree.body = [statement for statement in tree.body if check_call(statement) is None]
        name = request["entry_point"]
        if name not in namespace and name.isidentifier() and hasattr(namespace.get("Solution"), name):
            name = f"Solution().{name}"
        awaited = any(isinstance(s, ast.AsyncFunctionDef) and s.name == "check" for s in tree.body)
        call = ast.parse(f"__import__('asyncio').run(check({name}))" if awaited else f"check({name})", path)
        error = None
        for body, filename in ((tree, path), (call, "<check>")):  # the call itself is no line of the tests
            error = error or _attempt(body, filename, namespace, cases, control)
        error = error or (control.reached() if control else None)
        _report_test(report, path, error, sources, cases)


def _attempt(
    code: ast.stmt | ast.Module, path: str, namespace: dict[str, Any], cases: list[Case], control: Control | None
) -> BaseException | None:
    module = code if isinstance(code, ast.Module) else ast.Module([code], [])
    recorded = ast.fix_missing_locations(module if control else record_comparisons(module))
    namespace.update(control.names if control else {})
    cases.clear()
    try:
        exec(compile(recorded, path, "exec", dont_inherit=True), namespace)
    except BaseException as error:
        release_spare_memory()
        return error
    return None


def _report_test(report: Report, name: str, error: BaseException | None, sources: Sources, cases: list[Case]) -> None:
    if error is None:
        report("test", name, "passed", None, None)
    elif isinstance(error, AssertionError):
        report("test", name, "failed", describe(error, sources), cases[-1] if cases else None)
    else:
        report("test", name, "error", describe(error, sources), None)


MODES: dict[str, Callable[[Mapping[str, Any], dict[str, Any], Report, Sources], None]] = {
    "assert": run_asserts,
    "check": run_check,
    "doctest": run_doctest,
    "unittest": run_unittest,
    "pytest": run_pytest,
}
