"""Each program is run once: a cache of executions between the stages and the sandbox, kept in the run's store.

What the ledger is for model calls. A job that was executed before, in this process or in one that was killed, comes
back from the store; a broken tool (`sandbox_error`) is never stored, so that a later run tries again.
"""

import asyncio
import json
import threading
from collections.abc import Iterable
from typing import Protocol

from iterpref.records import Execution, Isolation, Limits, Task, TestFile, fingerprint
from iterpref.sandbox import Job
from iterpref.store import Store

NO_PROGRAM = "NoProgram"  # error type of a reply without code
# Reads `module NAME` or `package NAME` and prints whether Python has it; a package may be called as it is installed.
_LOOK = """import importlib.metadata
import importlib.util

kind, name = input().split(" ", 1)
try:
    found = importlib.util.find_spec(name.split(".")[0].replace("-", "_")) is not None
except (ImportError, ValueError):
    found = False
if kind == "package" and not found:
    try:
        found = importlib.metadata.distribution(name) is not None
    except (importlib.metadata.PackageNotFoundError, ValueError):
        pass
print(found)
"""


class Runs(Protocol):
    """What executes jobs: a `Sandbox` here, a `ServedSandbox` elsewhere, or a `RemoteSandbox` on a cluster."""

    @property
    def isolation(self) -> Isolation: ...

    def run(self, job: Job) -> Execution: ...


class Executor:
    """Run programs of tasks, or take the stored outcome of the same run. `limits` replace each task's own."""

    def __init__(self, sandbox: Runs, store: Store, seed: int = 0, limits: Limits | None = None) -> None:
        self._sandbox = sandbox
        self._store = store
        self._seed = seed
        self._limits = limits
        self._packages: dict[str, bool] = {}
        self._looking = threading.Lock()

    async def lacking(self, packages: Iterable[str]) -> list[str]:
        """Those of the packages that programs can't import here; each is looked for once. Not stored: it may change."""
        return await asyncio.to_thread(self._lacking, sorted(set(packages))) if packages else []

    def _lacking(self, packages: list[str]) -> list[str]:
        with self._looking:
            new = [name for name in packages if name not in self._packages]
            lacking = lacking_packages(self._sandbox, new)
            self._packages |= {name: name not in lacking for name in new}
            return [name for name in packages if not self._packages[name]]

    async def execute(self, task: Task, program: str, *, cut: bool = False) -> tuple[str, Execution]:
        """The key of the execution in the store, and the execution; a worker thread waits for the sandbox.

        Args:
            cut: The reply was cut at its token limit; only said where it holds no program at all.
        """
        job = Job.from_task(task, program, seed=self._seed)
        if self._limits:
            job = job.model_copy(update={"limits": self._limits})
        key = job.key if program.strip() else fingerprint([job.key, cut])
        stored = self._store.execution(key)
        if stored is not None:
            return key, stored
        execution = await asyncio.to_thread(self._sandbox.run, job) if program.strip() else self._no_program(cut)
        if execution.verdict != "sandbox_error":
            self._store.put_execution(key, execution)
        return key, execution

    def _no_program(self, cut: bool) -> Execution:
        """A reply without code is a failed attempt like any other."""
        why = " (it was cut at its token limit)" if cut else ""
        return self.not_run(NO_PROGRAM, f"the reply holds no Python program{why}")

    def not_run(self, error_type: str, why: str) -> Execution:
        """What stands for the execution of a program that there is none of."""
        return Execution(
            verdict="error",
            trust="oracle",
            isolation=self._sandbox.isolation,
            phase="none",
            error_type=error_type,
            error=f"{error_type}: {why}",
        )


def lacking_packages(sandbox: Runs, names: Iterable[str], *, as_imported: bool = False) -> list[str]:
    """Those of some packages that the sandbox's Python doesn't have; [] where the sandbox can't say.

    Args:
        names: As they are imported (sklearn) or, unless `as_imported`, installed (scikit-learn).
    """
    wanted = [name.strip() for name in names if name.strip()]
    if not wanted:
        return []
    kind = "module" if as_imported else "package"
    rows = [json.dumps({"stdin": f"{kind} {name}\n", "stdout": "True\n"}) for name in wanted]
    tests = (TestFile(path="packages.jsonl", content="\n".join(rows)),)
    found = sandbox.run(Job(program=_LOOK, tests=tests, style="stdio"))
    return [name for name, test in zip(wanted, found.tests, strict=False) if test.verdict == "failed"]
