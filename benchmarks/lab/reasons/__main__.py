"""Why is one way to train better than another? Train a grid's arms, measure each model, and hold reasons against it.

    python -m benchmarks.lab.reasons [GRID] [--work DIR] [--jobs N] [--estimate] [--publish]

The default GRID is `reasons`, in benchmarks/lab/grids. Kill it whenever you like: the same command goes on, and
measures no finished cell again. Data of seeds is shared with other grids in the same work folder. The exit status is 0
only if every cell is finished.
"""

import argparse
from pathlib import Path

from ..checks import load_grid
from ..estimate import DATA_TASK_S, seconds_left
from ..options import grid_parser, parsed, run_command, say
from ..records import Records, finished
from ..results import Results
from ..run import data_key, make_data, run_grid
from ..seeds import SeedPlan
from . import tables
from .figures import Measured
from .measured import MeasuredCell, MeasuredPlan, check_reasons

PART = "debugging"


def main() -> None:
    run_command(lambda: _main(_options()))


def _options() -> argparse.Namespace:
    parser = grid_parser("python -m benchmarks.lab.reasons", __doc__)
    parser.add_argument("grid", nargs="?", default="reasons", metavar="GRID", help="YAML file, or a name in "
                        "benchmarks/lab/grids; default: %(default)s.")  # fmt: skip
    return parsed(parser)


def _main(options: argparse.Namespace) -> int:
    grid = load_grid(options.grid)
    base = check_reasons(grid)
    plan, work = MeasuredPlan.of(grid, options.bases), options.work.resolve()
    records = Records(work)
    if options.from_published:
        print(f"{records.take()} published records taken")
    _print_estimate(plan, records, options.jobs)
    if options.estimate:
        return 0
    if not options.publish:
        _run(plan, records, work, options.jobs)
    measured = Measured(Results.of(plan, records), base)
    tables.write(measured, work)
    if options.publish:
        tables.publish(measured)
    return int(len(measured.results.missing) > 0)


def _run(plan: MeasuredPlan, records: Records, work: Path, processes: int) -> None:
    """First all seeds' data, for a cell needs that of the seed after its own, which another process might be making."""
    left = [cell for cell in plan.held_out({}) if not finished(records.get(cell.key))]
    seeds = _seeds(left)
    make_data(seeds, (PART,), work, processes, say)
    _forget_others(plan, records)
    run_grid(plan, work, processes, say)


def _seeds(cells: list[MeasuredCell]) -> list[SeedPlan]:
    """Those whose data these cells need, each once."""
    needed = [seed for cell in cells if cell.trains for seed in (cell.data, cell.unseen)]
    return list({(seed.domain, seed.base, seed.seed): seed for seed in needed}.values())


def _forget_others(plan: MeasuredPlan, records: Records) -> None:
    """Have cells measured again whose unseen pairs are others here; those of other training pairs run_grid tells."""
    for cell in plan.held_out({}):
        record, made = records.get(cell.key), records.get(data_key(cell.unseen, PART))
        if finished(record) and made and record.get("unseen_hash", made["made"]["hash"]) != made["made"]["hash"]:
            records.put(cell.heading | {"error": "the pairs that it did not see are others here"})


def _print_estimate(plan: MeasuredPlan, records: Records, processes: int) -> None:
    cells, seconds = seconds_left(plan, records, set())
    left = [cell for cell in plan.held_out({}) if not finished(records.get(cell.key))]
    own = {cell.data.seed for cell in left}
    others = [seed for seed in _seeds(left) if seed.seed not in own and records.get(data_key(seed, PART)) is None]
    seconds += sum(DATA_TASK_S[PART] * seed.tasks for seed in others)
    print(f"{cells} cells are left, about {seconds / 60:.0f} minutes of CPU; {seconds / processes / 60:.0f} minutes on "
          f"{processes} processes, if the machine is idle.", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
