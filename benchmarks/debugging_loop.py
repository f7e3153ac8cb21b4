"""How fast is the loop itself? Attempts per second and memory, without the time of a model and of a sandbox.

    python benchmarks/debugging_loop.py --tasks 1000 10000 100000

Every task fails twice and passes at its second repair: three calls through the ledger, three executions through the
executor's cache, three attempts and a trajectory in the store. Only the model's text and the verdict are made up, both
told from the texts. Each size runs in a process of its own, so that its peak memory is its own.
"""

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from iterpref.clients import Completion, Ledger, Request
from iterpref.config import DebuggingConfig
from iterpref.debugging.debug import Debugger, debug
from iterpref.programs import fenced
from iterpref.records import Execution, FailingCase, Task, TestFile
from iterpref.sandbox import Executor, Job
from iterpref.store import Store

PASSES_AT = 2


class Replayed:
    """A client whose every reply is recorded: the program of the iteration, told from the length of the talk."""

    name = "replayed"

    async def complete(self, request: Request) -> Completion:
        task = request.messages[0].content.split()[-1]
        # A repair shows the last program only, which says how often it was repaired.
        last = request.messages[1].content.count("# again") if len(request.messages) > 1 else -1
        again = "\n    # again" * (last + 1)
        return Completion(text=fenced(f"def solve(x):{again}\n    return x + {task}"), completion_tokens=20)

    def close(self) -> None: ...


class Told:
    """A sandbox that reads the verdict off the program, as fast as can be."""

    isolation = "rlimits"

    def run(self, job: Job) -> Execution:
        common = {"trust": "oracle", "isolation": "rlimits"}
        if job.program.count("# again") >= PASSES_AT:
            return Execution(verdict="passed", **common)
        return Execution(verdict="failed", failing_case=FailingCase(call="solve(1)", got="1", expected="2"), **common)


def tasks(count: int) -> Iterator[Task]:
    for number in range(count):
        test = TestFile(path="tests.py", content=f"assert solve(1) == {number + 1}\n" * 5)
        prompt = f"{'Write a function solve that adds a number to its argument. ' * 5}The number is {number}"
        yield Task(task_id=f"t/{number}", prompt=prompt, tests=(test,), style="assert", entry_point="solve")


def measure(count: int) -> dict[str, float]:
    """Debug so many tasks in a fresh run folder."""
    with tempfile.TemporaryDirectory() as folder, Store.open(folder) as store:
        store.put_tasks(tasks(count))
        settings = DebuggingConfig(max_iterations=5)
        debugger = Debugger(Ledger(Replayed(), store), Executor(Told(), store), store, settings)  # type: ignore[arg-type]
        started = time.monotonic()
        progress = asyncio.run(debug(debugger, store.tasks(), count))
        seconds = time.monotonic() - started
        assert progress.passed[PASSES_AT] == count
        attempts = store.count("attempts")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        size = sum(path.stat().st_size for path in Path(folder).iterdir()) / 1e6
    return {
        "tasks": count,
        "attempts": attempts,
        "attempts_per_s": round(attempts / seconds, 1),
        "cpu_s_per_1000": round(time.process_time() / attempts * 1000, 2),
        "peak_mib": round(peak, 1),
        "store_mb": round(size, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", type=int, default=[1000, 10000])
    options = parser.parse_args()
    if len(options.tasks) == 1:
        print(json.dumps(measure(options.tasks[0])), flush=True)
        return
    for count in options.tasks:
        subprocess.run([sys.executable, __file__, "--tasks", str(count)], check=True)


if __name__ == "__main__":
    main()
