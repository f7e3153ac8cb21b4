"""A job → what is asked of a worker; each kind of request is made here. Its form: inside/values/request.py."""

import secrets
from typing import Any, cast

from iterpref.records import Limits

from ..inside.values.request import Mode, RunLimits, RunRequest
from ..job import Job


def calls_request(job: Job, calls: list[Any]) -> RunRequest:
    """Make these calls of the program and send the results."""
    request = _request(job, "calls")
    request["calls"] = calls
    return request


def script_request(job: Job) -> RunRequest:
    """Run the program as a script."""
    return _request(job, "script")


def tests_request(job: Job, entry_point: str | None) -> RunRequest:
    """Run the job's tests in the program's process; `entry_point` is what `check` gets."""
    assert job.style != "calls" and job.style != "stdio"
    request = _request(job, job.style)
    request["entry_point"] = entry_point
    request["tests"] = [[test.path, test.content] for test in job.tests]
    if job.style in ("unittest", "pytest", "doctest"):
        request["files"] |= {test.path: test.content for test in job.tests}
    return request


def control_request(request: RunRequest, limits: Limits) -> RunRequest:
    """The same tests under the negative control."""
    fresh = {"nonce": secrets.token_hex(8), "control": secrets.token_hex(8), "limits": _written(limits)}
    return cast(RunRequest, {**request, **fresh})


def _written(limits: Limits) -> RunLimits:
    return cast(RunLimits, limits.model_dump())


def _request(job: Job, mode: Mode) -> RunRequest:
    program = f"{job.prefix}\n{job.program}" if job.prefix and job.program else job.prefix or job.program
    return {
        "mode": mode,
        "nonce": secrets.token_hex(8),
        "program": job.program,
        "prefix": job.prefix,
        "program_path": job.program_path,
        "files": {job.program_path: program, **{file.path: file.content for file in job.files}},
        "entry_point": job.entry_point,
        "seed": job.seed,
        "limits": _written(job.limits),
        "calls": [],
        "tests": [],
        "control": "",
        "measure": False,
    }
