"""Short ways to write a job."""

import json
import textwrap
from typing import Any

from iterpref.records import TestFile
from iterpref.sandbox import Job


def job(program: str, tests: str, style: str = "assert", **fields: Any) -> Job:
    """A job with one test file, both texts dedented."""
    file = TestFile(path=fields.pop("path", "test_it.py"), content=textwrap.dedent(tests))
    return Job(program=textwrap.dedent(program), tests=(file,), style=style, **fields)


def returns(program: str, expected: object, *args: object, **fields: Any) -> Job:
    """Calls `f(*args)` once and expects a value."""
    row = {"args": repr(args), "expected": repr(expected)}
    return job(program, json.dumps(row), "calls", entry_point="f", **fields)
