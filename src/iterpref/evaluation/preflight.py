"""Do the benchmark's own solutions pass on this machine? Those that don't are reported apart, never scored.

Kept in the user's cache by the tasks' identity, the Python, the sandbox's engine and the packages that the tasks name.
"""

import json
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from iterpref.evaluation.benchmarks import dataset_hash
from iterpref.evaluation.benchmarks.releases import cache_folder
from iterpref.files import write_json
from iterpref.records import Execution, Task, fingerprint
from iterpref.sandbox import Job, Sandbox
from iterpref.sandbox.job import ENGINE_VERSION


def preflight(tasks: Sequence[Task], sandbox: Sandbox) -> dict[str, str]:
    """Task id → cause, for tasks whose reference does not pass; tasks without a reference are taken as good."""
    known = [task for task in tasks if task.reference]
    if not known:
        return {}
    path = cache_folder() / "preflight" / f"{_identity(known, sandbox)}.json"
    if path.is_file():
        stored: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
        return stored
    ordered = sorted(known, key=lambda task: -task.limits.cpu_s)  # the longest first, so that none is waited for last
    executions = sandbox.run_many(Job.from_task(task, task.reference or "") for task in ordered)
    outcomes = list(zip(ordered, executions, strict=True))
    broken = {task.task_id: cause(execution) for task, execution in outcomes if not execution.passed}
    if all(execution.verdict != "sandbox_error" for _, execution in outcomes):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, broken)
    return broken


def cause(execution: Execution) -> str:
    """Why an execution did not pass, in one line."""
    return f"{execution.verdict}: {execution.headline}" if execution.headline else execution.verdict


def _identity(tasks: Sequence[Task], sandbox: Sandbox) -> str:
    references = [[task.task_id, task.reference, task.limits.model_dump()] for task in tasks]
    packages = [[name, _version(name)] for name in sorted({package for task in tasks for package in task.packages})]
    state = [ENGINE_VERSION, sys.version, sandbox.isolation, packages]
    return fingerprint([dataset_hash(tasks), references, state])


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
