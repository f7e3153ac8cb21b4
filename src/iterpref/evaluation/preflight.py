"""Canonical solutions run before any model's program: a task whose own solution fails here can't be judged here."""

import json
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from iterpref.evaluation.benchmarks import dataset_hash
from iterpref.evaluation.benchmarks.releases import cache_folder
from iterpref.executor import lacking_packages
from iterpref.files import write_json
from iterpref.records import Task, fingerprint
from iterpref.sandbox import ENGINE_VERSION, Job
from iterpref.sandbox.remote import AnySandbox
from iterpref.task_tests import problem_of


def preflight(tasks: Sequence[Task], sandbox: AnySandbox) -> dict[str, str]:
    """Task id → cause: of tasks whose reference does not pass here, and of those without one whose tests are wrong."""
    unknown = {task.task_id: problem_of(task) for task in tasks if not task.reference}
    found = _failing_references(tasks, sandbox) | {task_id: said for task_id, said in unknown.items() if said}
    return found | _lacking([task for task in tasks if task.task_id in found or not task.reference], sandbox)


def _lacking(tasks: Sequence[Task], sandbox: AnySandbox) -> dict[str, str]:
    """Task id → which packages it needs that programs here don't have: no program could show that it is right."""
    lacking = set(lacking_packages(sandbox, sorted({name for task in tasks for name in task.packages})))
    needs = {task.task_id: [name for name in task.packages if name in lacking] for task in tasks}
    return {
        task_id: f"needs {', '.join(names)}, which the sandbox's Python lacks"
        for task_id, names in needs.items()
        if names
    }


def _failing_references(tasks: Sequence[Task], sandbox: AnySandbox) -> dict[str, str]:
    """Kept in the user's cache by the tasks, the Python, the sandbox's engine and the packages that the tasks name.

    What ran out of time there runs again: the machine may have been busy that day.
    """
    known = [task for task in tasks if task.reference]
    if not known:
        return {}
    path = cache_folder() / "preflight" / f"{_preflight_identity(known, sandbox)}.json"
    if path.is_file():
        stored: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
        doubtful = [task for task in known if stored.get(task.task_id, "").startswith("timeout")]
        lasting = {task_id: cause for task_id, cause in stored.items() if not cause.startswith("timeout")}
    else:
        doubtful, lasting = known, {}
    again = _failing(doubtful, sandbox)
    if not any(cause.startswith("sandbox_error") for cause in again.values()):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, lasting | again)
    return lasting | again


def _failing(tasks: Sequence[Task], sandbox: AnySandbox) -> dict[str, str]:
    """Task id → cause, of those whose reference does not pass now."""
    ordered = sorted(tasks, key=slow_first)
    executions = sandbox.run_many(Job.from_task(task, task.reference or "") for task in ordered)
    return {
        task.task_id: f"{execution.verdict}: {execution.headline}" if execution.headline else execution.verdict
        for task, execution in zip(ordered, executions, strict=True)
        if not execution.passed
    }


def slow_first(task: Task) -> float:
    """Sorts tasks so that the last one to finish is none that takes long."""
    return -(task.limits.call_cpu_s or task.limits.cpu_s)


def _preflight_identity(tasks: Sequence[Task], sandbox: AnySandbox) -> str:
    references = [[task.task_id, task.reference, task.limits.model_dump()] for task in tasks]
    packages = [[name, _version(name)] for name in sorted({package for task in tasks for package in task.packages})]
    state = [ENGINE_VERSION, sys.version, sandbox.isolation, sandbox.place, packages]
    return fingerprint([dataset_hash(tasks), references, state])


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
