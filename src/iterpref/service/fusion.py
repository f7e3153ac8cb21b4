"""Routes as SandboxFusion's clients call them, for programs in Python: `/run_code`, `/submit`, `/v1/ping`.

`/run_code` runs a script (`python`) or tests (`pytest`) and says how it ended. `/submit` runs a completion against
the tests in `config.provided_data`: `test`, a list of inputs and outputs as CommonOJDataset has them, or any form of
tests that `CodeReward` reads. Files go in as base64 of text; none is fetched after a run, and no data set is kept.
"""

import asyncio
import base64
import binascii
import json
from functools import partial
from typing import Any, TypeVar

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, ValidationError

from iterpref.errors import IterPrefError
from iterpref.programs import extract_program
from iterpref.records import Execution, Limits, TestFile
from iterpref.rewards import RowTasks
from iterpref.sandbox import Job, Sandbox, ScriptRun

from .gate import Gate
from .guard import Refused
from .jobs import Jobs, as_json, explained, read_json


class _Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore")


class RunCode(_Lenient):
    """What `/run_code` is asked."""

    code: str
    language: str = "python"
    stdin: str | None = None
    run_timeout: float = 10.0
    memory_limit_MB: int = -1
    files: dict[str, str | None] = {}
    fetch_files: list[str] = []


class SubmitConfig(_Lenient):
    language: str | None = None
    run_timeout: float | None = None
    provided_data: dict[str, Any] | list[dict[str, Any]] | None = None


class Submit(_Lenient):
    """What `/submit` is asked."""

    id: int | str = 0
    completion: str
    config: SubmitConfig = SubmitConfig()


class Fusion:
    """The routes' handlers."""

    def __init__(self, sandbox: Sandbox, gate: Gate, jobs: Jobs) -> None:
        self._sandbox, self._gate, self._jobs = sandbox, gate, jobs
        self.router = APIRouter()
        for path, handler in (("/run_code", self.run_code), ("/submit", self.submit)):
            self.router.add_api_route(path, handler, methods=["POST"], response_model=None)
        self.router.add_api_route("/v1/ping", self.ping, methods=["GET"])

    async def ping(self) -> str:
        return "pong"

    async def run_code(self, request: Request) -> Response:
        asked = _read(RunCode, await read_json(request), "run_code")
        if asked.language not in ("python", "pytest"):
            raise Refused(422, f"language {asked.language[:50]!r}: this service runs python and pytest")
        if asked.fetch_files:
            raise Refused(422, "fetch_files: files are not fetched here; print what you need")
        job = _job(asked)
        with self._gate.enter():
            if asked.language == "pytest":
                return as_json(_as_answer(await self._jobs.run(request, job, retry_timeout=False)))
            ran = await self._jobs.work(request, job, partial(self._sandbox.run_script, job))
            return as_json(_as_script(ran))

    async def submit(self, request: Request) -> Response:
        asked = _read(Submit, await read_json(request), "submit")
        if asked.config.language not in (None, "", "python", "pytest"):
            raise Refused(422, f"config.language {asked.config.language!r:.50}: this service runs python")
        row = _row(asked)
        try:
            task = RowTasks({}, "auto", _limits(asked.config.run_timeout or 10.0))(row, 0)
            program = await asyncio.to_thread(extract_program, asked.completion, task.entry_point)
            job = Job.from_task(task, program)
        except IterPrefError as error:
            raise Refused(422, f"config.provided_data: {error}"[:1000]) from None
        except ValidationError as error:
            raise Refused(422, explained("submit", error)) from None
        if not program:
            return as_json(_result(asked, "", None))
        with self._gate.enter():
            execution = await self._jobs.run(request, job)
        if execution.verdict == "sandbox_error":
            raise Refused(503, execution.error[:1000])
        return as_json(_result(asked, program, execution))


M = TypeVar("M", bound=BaseModel)


def _read(model: type[M], values: dict[str, Any], where: str) -> M:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise Refused(422, explained(where, error)) from None


def _limits(seconds: float, memory_mb: int = -1) -> Limits:
    more = {"memory_bytes": memory_mb << 20} if memory_mb > 0 else {}
    return Limits(cpu_s=seconds, wall_s=seconds, output_bytes=1 << 20, **more)


def _job(asked: RunCode) -> Job:
    try:
        files = tuple(TestFile(path=path, content=_text(path, data)) for path, data in asked.files.items() if data)
        tests = (TestFile(path="test_code.py", content=asked.code),) if asked.language == "pytest" else ()
        return Job(
            program="" if tests else asked.code,
            tests=tests,
            style="pytest" if tests else "stdio",
            files=files,
            stdin=asked.stdin or "",
            limits=_limits(asked.run_timeout, asked.memory_limit_MB),
        )
    except ValidationError as error:
        raise Refused(422, explained("run_code", error)) from None


def _text(path: str, data: str) -> str:
    try:
        return base64.b64decode(data, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        raise Refused(422, f"files: {path[:100]!r}: base64 of a text in UTF-8 expected") from None


def _row(asked: Submit) -> dict[str, Any]:
    """The row that the completion answers, in a form that our own readers know."""
    data = asked.config.provided_data
    if isinstance(data, list):
        data = next((row for row in data if row.get("id") == asked.id), None)
    if not data:
        raise Refused(
            422, f"config.provided_data: no row with the tests of id {asked.id!r:.50}; no data set is kept here"
        )
    cases = data.get("test")
    if isinstance(cases, str) and cases.lstrip().startswith("["):
        try:
            cases = json.loads(cases)
        except ValueError:
            return data
    if not isinstance(cases, list) or not all(isinstance(case, dict) and "output" in case for case in cases):
        return data
    read, printed = ([_stream(case, side, name) for case in cases] for side, name in _STREAMS)
    return {**data, "test": {"inputs": read, "outputs": printed}}


_STREAMS = (("input", "stdin"), ("output", "stdout"))


def _stream(case: dict[str, Any], side: str, name: str) -> str:
    value = case.get(side, {})
    found = value.get(name, "") if isinstance(value, dict) else value
    if isinstance(value, dict) and set(value) - {name}:
        raise Refused(
            422, f"config.provided_data: {side} names {sorted(set(value) - {name})[0]!r:.100}; only {name} is known"
        )
    return found if isinstance(found, str) else str(found)


def _as_script(run: ScriptRun) -> dict[str, Any]:
    late = run.limit in ("cpu_s", "wall_s")
    code = run.status or int(bool(run.limit))  # what was cut off is no success, whatever it ended with
    ended = {
        "status": "TimeLimitExceeded" if late else "Finished",
        "execution_time": run.wall_s,
        "cpu_time": run.cpu_s,
        "return_code": None if late else code,
        "stdout": run.stdout,
        "stderr": run.stderr if late or not run.limit else f"{run.stderr}The run hit its limit {run.limit}.\n",
    }
    return _envelope("Failed" if late or code else "Success", ended)


def _as_answer(execution: Execution) -> dict[str, Any]:
    """An execution as the answer to `/run_code`."""
    if execution.verdict == "sandbox_error":
        return {**_envelope("SandboxError", None), "message": execution.error[:1000]}
    late = execution.verdict == "timeout"
    ended = {
        "status": "TimeLimitExceeded" if late else "Finished",
        "execution_time": execution.wall_s,
        "cpu_time": execution.cpu_s,
        "return_code": None if late else int(not execution.passed),
        "stdout": execution.stdout,
        "stderr": "\n".join(filter(None, (execution.stderr, execution.text.strip("\n")))),
    }
    return _envelope("Success" if execution.passed else "Failed", ended)


def _envelope(status: str, ended: dict[str, Any] | None) -> dict[str, Any]:
    return {"status": status, "message": "", "compile_result": None, "run_result": ended, "files": {}}


def _result(asked: Submit, program: str, execution: Execution | None) -> dict[str, Any]:
    tests = execution.tests if execution else ()
    whole = _as_answer(execution) if execution else _envelope("Failed", None)
    return {
        "id": asked.id,
        "accepted": bool(execution and execution.passed),
        "extracted_code": program,
        "full_code": None,
        "test_code": None,
        "tests": [
            {"passed": t.verdict == "passed", "exec_info": whole, "test_info": {"name": t.name, "detail": t.detail}}
            for t in tests
        ],
        "extracted_type": "fenced" if program and "```" in asked.completion else "heuristic" if program else "empty",
        "extra": {"verdict": execution.verdict, "trust": execution.trust} if execution else {"verdict": "no program"},
    }
