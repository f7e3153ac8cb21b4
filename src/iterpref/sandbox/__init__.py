"""Run untrusted programs against tests and say what happened: program + tests + limits → Execution.

    with Sandbox(workers=2) as sandbox:
        execution = sandbox.run(Job.from_task(task, program))

Names load when first used: importing this package starts nothing and costs nothing.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from iterpref.records import Limits

    from .executor import Executor
    from .job import Job
    from .sandbox import Sandbox

__all__ = ["Executor", "Job", "Limits", "Sandbox"]


def __getattr__(name: str) -> Any:
    if name == "Sandbox":
        from .sandbox import Sandbox

        return Sandbox
    if name == "Executor":
        from .executor import Executor

        return Executor
    if name == "Job":
        from .job import Job

        return Job
    if name == "Limits":
        from iterpref.records import Limits

        return Limits
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
