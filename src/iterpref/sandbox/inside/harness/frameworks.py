"""Tests that bring their own tool, doctest or unittest (pytest: pytest_tests.py), run in the program's process.

Reports come from a runner of ours, never from what the tool prints. The tools are imported when needed.
"""

import ast
import functools
import inspect
import os
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..linux.limits import release_spare_memory
from ..values.texts import CASE_CHARS, shorten
from .comparisons import values_at
from .negative_control import WRONG_TEXT
from .session import Session
from .tracebacks import ErrorReport, UserFiles, describe


def run_doctest(session: Session) -> None:
    """Each `>>>` example is a test."""
    import doctest

    report = session.report

    class Runner(doctest.DocTestRunner):
        def report_start(self, out: Any, test: Any, example: Any) -> None: ...

        def report_success(self, out: Any, test: Any, example: Any, got: str) -> None:
            report("test", f"{test.name} line {example.lineno + 1}", "passed", None, None)

        def report_failure(self, out: Any, test: Any, example: Any, got: str) -> None:
            name = f"{test.name} line {example.lineno + 1}"
            wanted = f"it to raise {example.exc_msg}" if example.exc_msg else example.want
            texts = (shorten(text.strip() or "nothing", CASE_CHARS) for text in (example.source, got, wanted))
            case = dict(zip(("call", "got", "expected"), texts, strict=True))
            report("test", name, "failed", _said("AssertionError", _printed(case), f"  {name}"), case)

        def report_unexpected_exception(self, out: Any, test: Any, example: Any, exc_info: Any) -> None:
            name = f"{test.name} line {example.lineno + 1}"
            place = f"  {name}: {shorten(example.source.strip(), CASE_CHARS)}"
            report("test", name, "error", _below_first_line(place, describe(exc_info[1], session.files)), None)

    for path, content in session.tests:
        test = doctest.DocTestParser().get_doctest(content, session.namespace, path, path, 0)
        for example in test.examples if session.control else ():
            if example.want:
                example.want = f"{WRONG_TEXT}\n"
                example.exc_msg = example.exc_msg and example.want
        Runner(verbose=False).run(test, out=lambda _: None, clear_globs=False)


def _printed(case: Mapping[str, str]) -> str:
    """What an example gave and should have given, on lines of their own if they have several."""
    if not any("\n" in text for text in case.values()):
        return f"{case['call']} gave {case['got']}, expected {case['expected']}"
    call, got, expected = ("\n".join(f"  {line}" for line in case[key].split("\n")) for key in case)
    return f"This example\n{call}\ngave\n{got}\nexpected\n{expected}"


def run_unittest(session: Session) -> None:
    """Every test of every file, by unittest's own loader; a failing subtest fails its test."""
    import unittest

    report, control, failed = session.report, session.control, set[str]()

    class Result(unittest.TestResult):
        def addSuccess(self, test: Any) -> None:
            if test.id() not in failed:
                report("test", test.id(), "passed", None, None)

        def addError(self, test: Any, err: Any) -> None:
            report("test", test.id(), "error", _with_values(err[1], session.files), None)

        def addFailure(self, test: Any, err: Any) -> None:
            report("test", test.id(), "failed", _with_values(err[1], session.files), None)

        def addSkip(self, test: Any, reason: str) -> None:
            report("test", test.id(), "skipped", _said("SkipTest", shorten(str(reason), CASE_CHARS)), None)

        def addExpectedFailure(self, test: Any, err: Any) -> None:
            self.addSkip(test, "expected to fail") if control else self.addSuccess(test)

        def addUnexpectedSuccess(self, test: Any) -> None:
            report("test", test.id(), "failed", _said("AssertionError", "AssertionError: unexpected success"), None)

        def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
            if err is not None:
                failed.add(test.id())
                verdict = "failed" if issubclass(err[0], test.failureException) else "error"
                told = add_line(describe(err[1], session.files), "in subtest", subtest._subDescription())
                report("test", test.id(), verdict, told, None)

    loader, result = unittest.TestLoader(), Result()
    for path, content in session.tests:
        code = control.trees[path] if control else content
        module = _import_tests(path, content, code, session) if path.endswith(".py") else None
        if module is not None:
            suite = loader.loadTestsFromModule(module)
            for test in _members(suite):
                name = test._testMethodName
                setattr(test, name, releasing(getattr(test, name)))
                if control:
                    control.wrap(test)
            suite.run(result)


def _said(kind: str, message: str, *frames: str) -> ErrorReport:
    """What a tool says that doesn't come from an exception."""
    return {"type": kind, "message": message, "frames": list(frames), "bases": ""}


def _below_first_line(place: str, error: ErrorReport) -> ErrorReport:
    """The exception with a place put above its frames; further lines of the message go below that, too."""
    first, newline, more = error["message"].partition("\n")
    return error | {"message": first, "frames": [place, *([more] if newline else []), *error["frames"]]}


def _with_values(error: BaseException, files: UserFiles) -> ErrorReport:
    """The exception, and the variables in the line of the test where it came up."""
    return add_line(describe(error, files), "with", values_at(error, files))


def add_line(error: ErrorReport, word: str, said: str) -> ErrorReport:
    """The same with a line below the frames, if there is something to say."""
    return error | {"frames": [*error["frames"], f"  {shorten(f'{word} {said}', CASE_CHARS)}"]} if said else error


def releasing(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give the spare memory back where a test has used up all: the framework needs some to go on."""
    if inspect.iscoroutinefunction(function):
        return function

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except MemoryError:
            release_spare_memory()
            raise

    return call


def _members(suite: Any) -> Iterator[Any]:
    for part in suite:
        yield from _members(part) if hasattr(part, "__iter__") else [part]


def _import_tests(path: str, content: str, code: str | ast.Module, session: Session) -> types.ModuleType | None:
    name = path.removesuffix(".py").replace("/", ".")
    module = types.ModuleType(name)
    module.__file__ = os.path.abspath(path)
    sys.modules[name] = module
    session.files.add(module.__file__, path, content)
    try:
        exec(compile(code, module.__file__, "exec", dont_inherit=True), module.__dict__)
    except BaseException as error:
        release_spare_memory()
        session.report("test", f"{name} (import)", "error", describe(error, session.files), None)
        return None
    return module
