"""Run untrusted programs against tests and say what happened: program + tests + limits → Execution.

    from iterpref.sandbox import Job, Limits, Sandbox, TestFile

    tests = (TestFile(path="test.py", content="assert double(2) == 4"),)
    job = Job(program="def double(x): return 3 * x", tests=tests, style="assert", limits=Limits(cpu_s=2.0))
    with Sandbox(workers=2) as sandbox:
        execution = sandbox.run(job)
    print(execution.verdict, execution.error)  # failed double(2) returned 6, expected 4

Names load when first used: importing this package starts nothing and costs nothing. Elsewhere: `remote`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from iterpref.records import Execution, Limits, TestFile

    from .inside.rungs.table import RUNGS
    from .job import ENGINE_VERSION, CallResults, Job, Measured, ScriptRun, run_many
    from .sandbox import Sandbox

__all__ = [
    "ENGINE_VERSION",
    "RUNGS",
    "CallResults",
    "Execution",
    "Job",
    "Limits",
    "Measured",
    "Sandbox",
    "ScriptRun",
    "TestFile",
    "run_many",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    own = {"Sandbox": ".sandbox", "RUNGS": ".inside.rungs.table"}
    own |= dict.fromkeys(("ENGINE_VERSION", "CallResults", "Job", "Measured", "ScriptRun", "run_many"), ".job")
    where = own.get(name, "iterpref.records")
    return getattr(import_module(where, __name__), name)
