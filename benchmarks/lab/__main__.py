"""Compare ways to train, with power: every arm on the same seeds, resumable, a small record for each cell.

    python -m benchmarks.lab GRID [GRID ...] [--work DIR] [--bases DIR] [--jobs N] [--estimate] [--publish]

A GRID is a YAML file, or the name of one in benchmarks/lab/grids (grid.py is the place to begin reading). Kill it
whenever you like: the same command goes on, and runs no finished cell again. `--from-published` begins with the records
in benchmarks/data/lab. `--publish` writes tables and plots into docs/ and the records there, and runs nothing.
`--remake ARM@SEED` runs one cell anew, elsewhere, and compares it with its record. The exit status is 0 only if every
cell is finished.
"""

import argparse
import os
import sys
from datetime import datetime
from pathlib import Path

from iterpref.errors import IterPrefError

from .checks import load_grid
from .domains import BASES
from .estimate import seconds_left
from .output import publish, write_results
from .plan import Plan
from .records import Records
from .remake import remake
from .results import Results
from .run import run_grid
from .tables import decisions, tables

SHOWN = ("results", "tests", "missing")


def main() -> None:
    options = _options()
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # before any process loads torch
    try:
        sys.exit(_main(options))
    except IterPrefError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("stopped; finished cells are kept, and the same command goes on")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lab", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("grids", nargs="+", metavar="GRID", help="YAML file, or a name in benchmarks/lab/grids.")
    parser.add_argument("--work", type=Path, default=Path("../lab-work"), help="Folder for records and runs.")
    parser.add_argument("--bases", type=Path, default=BASES, help="Folder of base models; default: %(default)s.")
    parser.add_argument("--jobs", type=int, default=_cores(), metavar="N", help="Cells at once; default: %(default)s.")
    parser.add_argument("--from-published", action="store_true", help="Begin with the published records.")
    parser.add_argument("--remake", metavar="ARM@SEED", help="Run this cell anew and compare it with its record.")
    parser.add_argument("--estimate", action="store_true", help="Only say how long it will take.")
    parser.add_argument("--publish", action="store_true", help="Only write what is finished into docs/ and data.")
    options = parser.parse_args()
    if options.jobs < 1:
        parser.error(f"--jobs {options.jobs}: expected 1 or more")
    return options


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _main(options: argparse.Namespace) -> int:
    work = options.work.resolve()
    plans = [Plan.of(load_grid(name), options.bases) for name in options.grids]  # mistakes of all, before any runs
    records = Records(work)
    if options.from_published:
        print(f"{records.take()} published records taken")
    _print_estimates(plans, records, options.jobs)
    if options.estimate:
        return 0
    if options.remake:
        return sum([remake(plan, records, options.remake, work, print) for plan in plans])
    unfinished = 0
    for plan in plans:
        if not options.publish:
            run_grid(plan, work, options.jobs, _say)
        results = Results.of(plan, records)
        unfinished += len(results.missing)
        _print_results(results, write_results(results, work))
        if options.publish:
            publish(results)
    return int(unfinished > 0)


def _say(said: str) -> None:
    print(f"{datetime.now():%H:%M:%S} {said}", flush=True)


def _print_estimates(plans: list[Plan], records: Records, processes: int) -> None:
    total, counted = 0.0, set[str]()
    for plan in plans:
        cells, seconds = seconds_left(plan, records, counted)
        total += seconds / processes
        print(f"{plan.grid.name:<12}{cells:5} cells are left, about {seconds / processes / 3600:.1f} h")
    print(f"About {total / 3600:.1f} hours on {processes} processes, if the machine is idle.", flush=True)


def _print_results(results: Results, page: Path) -> None:
    name = results.plan.grid.name
    made = tables(results)
    for table in SHOWN:
        print(f"\n## {name}-{table}\n\n{made[f'{name}-{table}']}")
    print("", *decisions(results), f"\nAll tables and plots: {page}", sep="\n")


if __name__ == "__main__":
    main()
