"""Tests in the program's own process: asserts, `check(candidate)`, and by style all others (frameworks, pytest_tests).

Each reports `["test", name, verdict, error, case]`. A program that wants to can forge these (trust `in_process`); the
host only checks that every test it counted in the source reported.
"""

import ast
import builtins
from collections.abc import Callable
from typing import Any

from ..linux.limits import release_spare_memory
from .assert_syntax import check_call, test_statements
from .comparisons import Case, comparisons, record_comparisons
from .frameworks import run_doctest, run_unittest
from .pytest_tests import run_pytest
from .session import Session
from .tracebacks import describe

_instances: dict[str, Any] = {}


def entry(name: str, namespace: dict[str, Any]) -> Any:
    """What the program calls `name`: a global, or a method of a new `Solution`, as `twoSum` or `Solution().twoSum`, or
    of one and the same, as `Solution()@1.twoSum`."""
    owner, _, method = name.rpartition(".")
    if not owner and name in namespace:
        return namespace[name]
    if owner in _instances:
        return getattr(_instances[owner], method)
    made = namespace.get(owner.partition("()")[0] or "Solution")
    if isinstance(made, type) and hasattr(made, method):
        instance = made()
        if "@" in owner:
            _instances[owner] = instance
        return getattr(instance, method)
    if not owner and hasattr(builtins, name):
        return getattr(builtins, name)
    raise NameError(f"name {name!r} is not defined")


def run_asserts(session: Session) -> None:
    """Each top-level assert is a test; what stands between them is set-up, and its failure ends the file."""
    control = session.control
    session.namespace["__name__"] = "__main__"  # `if __name__ == "__main__"` of the tests holds; the program is loaded
    for path, content in session.tests:
        session.files.add(path, path, content)
        cases = comparisons(session.namespace)
        turned = control.trees[path].body if control else None
        body = ast.parse(content).body
        counted = set(test_statements(body))
        for number, statement in enumerate(body):
            error = _attempt(turned[number] if turned else statement, path, session, cases)
            if error is None and statement not in counted:
                continue
            error = error or (control.reached() if control else None)
            _report_test(session, f"{path} line {statement.lineno}", error, cases)
            if error is not None and statement not in counted:
                return


def run_check(session: Session) -> None:
    """HumanEval's form: the file defines `check(candidate)`, which is called once with the entry point."""
    control = session.control
    for path, content in session.tests:
        session.files.add(path, path, content)
        cases = comparisons(session.namespace)
        tree = control.trees[path] if control else ast.parse(content)
        tree.body = [statement for statement in tree.body if check_call(statement) is None]
        error = None
        for body, filename in ((tree, path), (_calling_check(tree, session, path), "<check>")):
            error = error or _attempt(body, filename, session, cases)  # the call itself is no line of the tests
        error = error or (control.reached() if control else None)
        _report_test(session, path, error, cases)


def _calling_check(tree: ast.Module, session: Session, path: str) -> ast.Module:
    """`check(f)`, where needed with `asyncio.run` around it or with a method of a new `Solution`."""
    name = session.entry_point
    assert name is not None, "style check: no function to hand to check()"
    solution = session.namespace.get("Solution")
    if name not in session.namespace and name.isidentifier() and hasattr(solution, name):
        name = f"Solution().{name}"
    awaited = any(isinstance(s, ast.AsyncFunctionDef) and s.name == "check" for s in tree.body)
    return ast.parse(f"__import__('asyncio').run(check({name}))" if awaited else f"check({name})", path)


def _attempt(code: ast.stmt | ast.Module, path: str, session: Session, cases: list[Case]) -> BaseException | None:
    module = code if isinstance(code, ast.Module) else ast.Module([code], [])
    control, namespace = session.control, session.namespace
    recorded = ast.fix_missing_locations(module if control else record_comparisons(module))
    namespace.update(control.names if control else {})
    cases.clear()
    try:
        exec(compile(recorded, path, "exec", dont_inherit=True), namespace)
    except BaseException as error:
        release_spare_memory()
        return error
    return None


def _report_test(session: Session, name: str, error: BaseException | None, cases: list[Case]) -> None:
    failed = isinstance(error, AssertionError)
    verdict = "passed" if error is None else "failed" if failed else "error"
    told = None if error is None else describe(error, session.files)
    session.report("test", name, verdict, told, cases[-1] if failed and cases else None)


RUNNERS: dict[str, Callable[[Session], None]] = {
    "assert": run_asserts,
    "check": run_check,
    "doctest": run_doctest,
    "unittest": run_unittest,
    "pytest": run_pytest,
}
