"""CPU time and rate of sandboxed runs, beside a fresh interpreter per run.

    python benchmarks/sandbox.py [--runs 200] [--rounds 5] [--json FILE]

Rounds of all ways alternate, so that a busy machine disturbs all alike; CPU time counts the host, the workers and the
programs. One worker, a trivial program with two lifted asserts. Compare ratios: absolute numbers drift.
"""

import argparse
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
from pathlib import Path

from iterpref.errors import SandboxError
from iterpref.records import Isolation, TestFile
from iterpref.sandbox import Job, Sandbox
from iterpref.sandbox.processes import descendants

PROGRAM = "def f(x):\n    return x + 1\n"
TESTS = "assert f(1) == 2\nassert f(2) == 3\n"
RUNGS: tuple[Isolation, ...] = ("zygote", "rlimits")


def fresh_interpreter() -> None:
    subprocess.run([sys.executable, "-c", PROGRAM + TESTS], check=True)


def in_sandbox(sandbox: Sandbox) -> Callable[[], None]:
    job = Job(program=PROGRAM, tests=(TestFile(path="test_it.py", content=TESTS),), style="assert")

    def run() -> None:
        assert sandbox.run(job).passed

    return run


def cpu_s() -> float:
    """CPU time of this process, of its ended children, and of the live workers with all they have run."""
    total = sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    for pid in descendants(os.getpid()):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return total


def measure(ways: dict[str, Callable[[], None]], runs: int, rounds: int) -> dict[str, dict[str, float]]:
    """Median over the rounds of CPU and wall milliseconds per run."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, run in ways.items():
            cpu, wall = cpu_s(), time.perf_counter()
            for _ in range(runs):
                run()
            taken[name].append(((cpu_s() - cpu) / runs * 1e3, (time.perf_counter() - wall) / runs * 1e3))
    medians = {name: [statistics.median(column) for column in zip(*rows, strict=True)] for name, rows in taken.items()}
    base = medians["python -c"]
    return {
        name: {"cpu_ms": cpu, "wall_ms": wall, "cpu_ratio": base[0] / cpu, "rate_ratio": base[1] / wall}
        for name, (cpu, wall) in medians.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore", RuntimeWarning)
    ways: dict[str, Callable[[], None]] = {"python -c": fresh_interpreter}
    with ExitStack() as stack:
        for rung in RUNGS:
            try:
                ways[rung] = in_sandbox(stack.enter_context(Sandbox(workers=1, isolation=rung)))
            except SandboxError as error:
                print(f"{rung}: {error}")
        results = measure(ways, options.runs, options.rounds)
    print(f"{'':12} {'CPU ms':>8} {'wall ms':>8} {'CPU ratio':>10} {'rate ratio':>10}")
    for name, row in results.items():
        numbers = f"{row['cpu_ms']:8.2f} {row['wall_ms']:8.2f} {row['cpu_ratio']:10.1f} {row['rate_ratio']:10.1f}"
        print(f"{name:12} {numbers}")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
