"""How fast is the loop itself? Attempts per second and memory, without the time of a model and of a sandbox.

    python benchmarks/debugging_loop.py --tasks 1000 10000 100000

Every task fails twice and passes at its second repair: three calls through the ledger, three executions through the
executor's cache, three attempts and a trajectory in the store. The model is the replay client with a recording of all
calls; the verdict is told from the program. Each size runs in a process of its own, so that its peak memory is its own.
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

from iterpref.clients import Ledger
from iterpref.clients.replay import ReplayClient
from iterpref.config import DebuggingConfig
from iterpref.debugging.debug import debug
from iterpref.debugging.debugger import Debugger
from iterpref.executor import Executor
from iterpref.feedback import feedback_text
from iterpref.programs import fenced
from iterpref.prompts import render
from iterpref.records import Execution, FailingCase, Task, TestFile
from iterpref.sandbox import Job
from iterpref.store import Store

PASSES_AT = 2
WRONG = Execution(
    verdict="failed",
    trust="oracle",
    isolation="rlimits",
    failing_case=FailingCase(call="solve(1)", got="1", expected="2"),
)


def program(number: int, repairs: int) -> str:
    """What is replayed for a task after so many repairs: a comment for each, then the answer."""
    again = "\n    # again" * repairs
    return f"def solve(x):{again}\n    return x + {number}"


def record(path: Path, count: int) -> None:
    """The recording of all calls: for each task the first attempt and its repairs."""
    said = render("repair", feedback=feedback_text(WRONG))
    with path.open("w") as file:
        for task in tasks(count):
            number = int(task.task_id.removeprefix("t/"))
            messages = [{"role": "user", "content": task.prompt}]
            for repairs in range(PASSES_AT + 1):
                if repairs:
                    shown = {"role": "assistant", "content": fenced(program(number, repairs - 1))}
                    messages = [messages[0], shown, {"role": "user", "content": said}]
                # Iteration i asks for sample i of its request.
                replies = [""] * repairs + [fenced(program(number, repairs))]
                file.write(json.dumps({"messages": messages, "completions": replies}) + "\n")


class Told:
    """A sandbox that reads the verdict off the program, as fast as can be."""

    isolation = "rlimits"

    def run(self, job: Job) -> Execution:
        if job.program.count("# again") >= PASSES_AT:
            return Execution(verdict="passed", trust="oracle", isolation="rlimits")
        return WRONG


def tasks(count: int) -> Iterator[Task]:
    for number in range(count):
        test = TestFile(path="tests.py", content=f"assert solve(1) == {number + 1}\n" * 5)
        prompt = f"{'Write a function solve that adds a number to its argument. ' * 5}The number is {number}"
        yield Task(task_id=f"t/{number}", prompt=prompt, tests=(test,), style="assert", entry_point="solve")


def measure(count: int) -> dict[str, float]:
    """Debug so many tasks in a fresh run folder."""
    with tempfile.TemporaryDirectory() as folder, Store.open(folder) as store:
        store.put_tasks(tasks(count))
        record(recording := Path(folder) / "recording.jsonl", count)
        client = ReplayClient(recording)
        settings = DebuggingConfig(max_iterations=5)
        debugger = Debugger(Ledger(client, store), Executor(Told(), store), store, settings)  # type: ignore[arg-type]
        started, cpu = time.monotonic(), time.process_time()
        progress = asyncio.run(debug(debugger, store.tasks(), count))
        seconds, cpu = time.monotonic() - started, time.process_time() - cpu
        assert progress.passed[PASSES_AT] == count
        attempts = store.count("attempts")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        client.close()
        size = sum(path.stat().st_size for path in Path(folder).glob("run.sqlite*")) / 1e6
    return {
        "tasks": count,
        "attempts": attempts,
        "attempts_per_s": round(attempts / seconds, 1),
        "cpu_s_per_1000": round(cpu / attempts * 1000, 2),
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
