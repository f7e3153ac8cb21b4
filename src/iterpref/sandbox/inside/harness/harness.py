"""Inside a run's process: load the program, make the calls or run the tests, report over the channel (session.py).

In mode `calls` the expected values aren't here, and a forged line is only a wrong answer.
"""

import atexit
import builtins
import os
import random
import sys
import threading
import types
from typing import Any

from ..linux.limits import release_spare_memory
from ..values import codec
from ..values.request import RunRequest
from . import asserts, negative_control, own_signals, packages
from .measuring import Measurement
from .session import Report, Session, reporter
from .tracebacks import UserFiles, describe

_seeded: int | None = None


def run(request: RunRequest, channel: int) -> None:
    """Do what `request["mode"]` says. The process is to end then, without any cleanup the program could hook into."""
    report = reporter(channel, request["nonce"])
    own_signals.tell(report)
    seed(request["seed"])
    files = UserFiles()
    measurement = Measurement(f"{os.getcwd()}/{request['program_path']}", report) if request["measure"] else None
    if request["mode"] == "script":
        _run_script(request, report, files)
        return
    control = negative_control.prepare(request) if request["control"] else None
    _write_files(request)
    namespace = _load(request, report, files)
    _tell_packages(request, report)
    if namespace is not None:
        if request["mode"] == "calls":
            _make_calls(request["calls"], namespace, report, files)
        else:
            _run_tests(Session(request["tests"], request["entry_point"], namespace, report, files, control), request)
    _flush()
    if measurement:
        measurement.end()
    _tell_packages(request, report, tools=request["mode"] == "pytest")
    report("end")


def seed(value: int) -> None:
    """The same random numbers in every run with the same seed. A zygote, which draws none, seeds before it forks."""
    global _seeded
    if value == _seeded:
        return
    random.seed(value)
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(value % (1 << 32))
    _seeded = value


def _write_files(request: RunRequest) -> None:
    """The program, and the test files of the styles that find their tests on disk, into the working directory."""
    for path, content in request["files"].items():
        if "/" in path:
            os.makedirs(os.path.dirname(path), exist_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)  # `open` costs three times as much
        view = memoryview(content.encode("utf-8", "surrogateescape"))
        while view:
            view = view[os.write(fd, view) :]
        os.close(fd)


def _load(request: RunRequest, report: Report, files: UserFiles) -> dict[str, Any] | None:
    """Execute prefix and program as one module; None, and reported, if that raises."""
    name = request["program_path"].removesuffix(".py").replace("/", ".")
    module, path = _module(name, request, files)
    try:
        if request["prefix"]:
            _execute(request["prefix"], "<prefix>", module.__dict__)
        _execute(request["program"], path, module.__dict__)
    except BaseException as error:
        release_spare_memory()
        report("import", describe(error, files))
        return None
    report("import", None)
    return module.__dict__


def _module(name: str, request: RunRequest, files: UserFiles) -> tuple[types.ModuleType, str]:
    """The program's module, empty, and its path; and all that lies beside it known by name."""
    here = os.getcwd()
    path = f"{here}/{request['program_path']}"
    module = types.ModuleType(name)
    module.__file__ = path
    sys.modules[name] = sys.modules["__main__"] = module  # tests may patch it by either name
    sys.path.insert(0, here)
    sys.argv = [path]
    for beside, content in request["files"].items():
        files.add(f"{here}/{beside}", beside, content)
    files.add(path, "", request["program"])
    files.add("<prefix>", "prefix", request["prefix"])
    return module, path


def _execute(source: str, filename: str, namespace: dict[str, Any]) -> None:
    if source.strip():
        exec(compile(source, filename, "exec", dont_inherit=True), namespace)


def _make_calls(calls: list[Any], namespace: dict[str, Any], report: Report, files: UserFiles) -> None:
    for index, (name, args, kwargs, sent_as) in enumerate(calls):
        try:
            function = asserts.entry(name, namespace)
            value = function(*codec.decode_arguments(args), **(codec.decode_arguments(kwargs) if kwargs else {}))
            if isinstance(value, types.CoroutineType) or sent_as.startswith("awaited"):
                value = _await(value)
            encoded = codec.ENCODERS[sent_as](value)
        except BaseException as error:
            release_spare_memory()
            report("raised", index, describe(error, files))
            if isinstance(error, SystemExit):
                return
        else:
            report("call", index, encoded)


def _run_tests(session: Session, request: RunRequest) -> None:
    mode, control = request["mode"], session.control
    for path, content in session.tests:
        if control and mode in ("unittest", "pytest"):
            with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
                file.write(control.source(path, content))
    try:
        asserts.RUNNERS[mode](session)
    except MemoryError as error:  # so little is left that unittest or doctest can't even note the failure
        release_spare_memory()
        session.report("test", mode, "error", describe(error, session.files), None)


def _await(coroutine: Any) -> Any:
    import asyncio

    return asyncio.run(coroutine)


def _run_script(request: RunRequest, report: Report, files: UserFiles) -> None:
    """Run the program as `__main__` and end as an interpreter would: threads joined, atexit called, streams flushed."""
    _write_files(request)
    module, path = _module("__main__", request, files)
    module.__builtins__ = builtins  # type: ignore[attr-defined]
    failure = None
    try:
        _execute(request["prefix"], "<prefix>", module.__dict__)
        _execute(request["program"], path, module.__dict__)
    except SystemExit as error:
        if error.code not in (None, 0):
            failure = describe(error, files)
    except BaseException as error:
        release_spare_memory()
        failure = describe(error, files)
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    _flush()
    report("import", failure)
    _tell_packages(request, report)
    report("end")


def _tell_packages(request: RunRequest, report: Report, tools: bool = False) -> None:
    """After the program is loaded, for it may never come to its end, and again at the end."""
    names = packages.imported(request, tools)
    if names:
        report("packages", names)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BaseException:
            continue  # the program closed or replaced it
