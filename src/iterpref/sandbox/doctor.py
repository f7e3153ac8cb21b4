"""What can this machine isolate? Every rung tried, best first, what blocks it, and how fast a trivial program runs."""

import time
import warnings
from dataclasses import dataclass

from iterpref.errors import SandboxError
from iterpref.records import Isolation

from . import RUNGS, Job, Sandbox, TestFile


@dataclass(frozen=True)
class Finding:
    """`blocked`: why the rung can't be used and what would allow it; "" if it can. `breaks`: what honest programs do
    without on it. Rate: one worker, small program."""

    isolation: Isolation
    blocked: str
    executions_per_s: float

    @property
    def breaks(self) -> tuple[str, ...]:
        return RUNGS[self.isolation].breaks


def diagnose(measure_s: float = 1.0) -> list[Finding]:
    """Try all rungs, for about `measure_s` each."""
    return [examine(rung, measure_s) for rung in RUNGS]


def examine(rung: Isolation, measure_s: float = 1.0) -> Finding:
    """Try one rung."""
    tests = (TestFile(path="test_it.py", content="assert f(1) == 2\n"),)
    job = Job(program="def f(x):\n    return x + 1\n", tests=tests, style="assert")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            sandbox = Sandbox(workers=1, isolation=rung)
    except SandboxError as error:
        return Finding(rung, str(error).removeprefix(f"{rung}: "), 0.0)
    with sandbox:
        execution = sandbox.run(job)
        if not execution.passed:
            return Finding(rung, f"a trivial program ended as {execution.verdict}: {execution.text}", 0.0)
        runs, started = 0, time.perf_counter()
        while time.perf_counter() - started < measure_s:
            sandbox.run(job)
            runs += 1
        return Finding(rung, "", round(runs / (time.perf_counter() - started), 1))
