"""Tests of pytest, run in the program's process. Reports come from a plugin of ours, never from what pytest prints."""

import contextlib
import functools
import inspect
import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

from ..values.codec import opaque_text
from .assert_syntax import is_conftest
from .comparisons import values_at
from .frameworks import add_line, releasing
from .session import Session
from .tracebacks import ErrorReport, UserFiles, describe


def run_pytest(session: Session) -> None:
    """pytest without the host's configuration, plugins, or conftest files that are none of the tests; results come from
    a plugin of ours."""
    import pytest

    report, control = session.report, session.control

    class Plugin:
        @pytest.hookimpl(hookwrapper=True)
        def pytest_load_initial_conftests(self) -> Any:
            outcome = yield
            if outcome.excinfo is not None:  # pytest wraps what a conftest.py raised
                error = outcome.excinfo[1]
                report("test", "conftest.py (import)", "error", describe(error.__cause__ or error, session.files), None)

        @pytest.hookimpl(hookwrapper=True)
        def pytest_pyfunc_call(self, pyfuncitem: Any) -> Any:
            pyfuncitem.obj = releasing(_awaiting(pyfuncitem.obj))
            yield

        @pytest.hookimpl(hookwrapper=True)
        def pytest_runtest_makereport(self, item: Any, call: Any) -> Any:
            outcome = yield
            result = outcome.get_result()
            if result.when == "call" or result.outcome != "passed":
                verdict = {"passed": "passed", "skipped": "skipped"}.get(result.outcome, "failed")
                error = _told(call.excinfo.value, session.files, item) if call.excinfo else None
                failures = (AssertionError, pytest.fail.Exception)  # the latter: `pytest.raises`, where nothing raised
                if verdict == "failed" and call.excinfo and not call.excinfo.errisinstance(failures):
                    verdict = "error"
                report("test", item.nodeid, verdict, error, None)

        @pytest.hookimpl(hookwrapper=True)
        def pytest_make_collect_report(self, collector: Any) -> Any:
            outcome = yield
            result = outcome.get_result()
            if result.failed:  # pytest wraps what the import raised
                error = result.call.excinfo.value
                told = describe(error.__cause__ or error, session.files)
                report("test", f"{collector.nodeid} (import)", "error", told, None)

    class Controlled(Plugin):
        @pytest.hookimpl(hookwrapper=True)
        def pytest_runtest_call(self, item: Any) -> Any:
            if control:
                control.begin()
            outcome = yield
            if control and outcome.excinfo is None:
                outcome.force_exception(control.reached())

    for path, content in session.tests:
        session.files.add(os.path.abspath(path), path, content)
    # Nothing of the host's; without `confcutdir` pytest looks into every folder up to the root.
    options = ["-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", os.getcwd(), "--confcutdir", os.getcwd()]
    options += [] if _settle_conftests(session) else ["--noconftest"]
    paths = [path for path, _ in session.tests if path.endswith(".py") and not is_conftest(path)]
    pytest.main([*options, *paths], plugins=[Controlled() if control else Plugin()])


def _settle_conftests(session: Session) -> bool:
    """Whether the tests have conftest files; then these are on disk as they came, and pytest finds none of the
    program's, nor a compiled module in place of a file."""
    tests = {os.path.abspath(path): content for path, content in session.tests}
    if not any(map(is_conftest, tests)):
        return False
    here = os.getcwd()
    for folder in {folder for path in tests for folder in _folders_above(path, here)}:
        shutil.rmtree(f"{folder}/__pycache__", ignore_errors=True)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{folder}/conftest.py")
    for path, content in session.tests:
        if is_conftest(path):
            with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
                file.write(session.control.source(path, content) if session.control else content)
    return True


def _folders_above(path: str, top: str) -> Iterator[str]:
    while path != top and path != os.path.dirname(path):
        path = os.path.dirname(path)
        yield path


def _awaiting(function: Callable[..., Any]) -> Callable[..., Any]:
    """A test that is a coroutine function is awaited, as by the plugins that `@pytest.mark.asyncio` is for."""
    if not inspect.iscoroutinefunction(function):
        return function

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        import asyncio

        return asyncio.run(function(*args, **kwargs))

    return call


def _told(error: BaseException, files: UserFiles, item: Any) -> ErrorReport:
    """Without the blank lines and advice on options that pytest puts into messages; with the test's parameters."""
    told = describe(error, files)
    lines = [line for line in told["message"].split("\n") if line.strip() and not line.startswith("  Use -v")]
    params = getattr(getattr(item, "callspec", None), "params", {})
    shown = ", ".join(f"{name} = {opaque_text(value)}" for name, value in params.items())
    return add_line(told | {"message": "\n".join(lines)}, "with", shown or values_at(error, files))
