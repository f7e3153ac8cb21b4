"""Compare ways to train, with power: every arm on the same seeds, resumable, a small record for each cell.

    python -m benchmarks.lab GRID [GRID ...] [--work DIR] [--bases DIR] [--jobs N] [--estimate] [--publish]

A GRID is a YAML file, or the name of one in benchmarks/lab/grids (grid.py is the place to begin reading). Kill it
whenever you like: the same command goes on, and runs no finished cell again. `--from-published` begins with the records
in benchmarks/data/lab. `--publish` writes tables and plots into docs/ and the records there, and runs nothing.
`--remake ARM@SEED` runs one cell anew, elsewhere, and compares it with its record. The exit status is 0 only if every
cell is finished.
"""

import argparse
from pathlib import Path

from .checks import load_grid
from .estimate import seconds_left
from .options import grid_parser, parsed, run_command, say
from .output import publish, write_results
from .plan import Plan
from .records import Records
from .remake import remake
from .results import Results
from .run import run_grid
from .tables import decisions, tables

SHOWN = ("results", "tests", "missing")


def main() -> None:
    run_command(lambda: _main(_options()))


def _options() -> argparse.Namespace:
    parser = grid_parser("python -m benchmarks.lab", __doc__)
    parser.add_argument("grids", nargs="+", metavar="GRID", help="YAML file, or a name in benchmarks/lab/grids.")
    parser.add_argument("--remake", metavar="ARM@SEED", help="Run this cell anew and compare it with its record.")
    return parsed(parser)


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
            run_grid(plan, work, options.jobs, say)
        results = Results.of(plan, records)
        unfinished += len(results.missing)
        _print_results(results, write_results(results, work))
        if options.publish:
            publish(results)
    return int(unfinished > 0)


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
