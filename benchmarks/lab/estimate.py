"""How long what is left will take: by rough costs of one core, corrected by the cells that were run here."""

from collections.abc import Sequence

from .cells import Cell
from .plan import Plan
from .records import Records
from .run import by_seed, data_key, of_cells
from .seeds import origins_of
from .tuning import Setting

# Seconds of one core, by trials with the shipped coder (docs/results.md, Cost).
START_S, TASK_S, EPOCH_TASK_S = 3.0, 0.014, 0.014  # of a cell; per task scored; per epoch and training task
DATA_TASK_S = {"debugging": 0.06, "sampling": 0.065}  # per training task


def cell_s(cell: Cell) -> float:
    trained = EPOCH_TASK_S * cell.length * cell.data.tasks if cell.trains else 0.0
    return START_S + TASK_S * cell.tasks + trained


def seconds_left(plan: Plan, records: Records) -> tuple[int, float]:
    """Cells that are left, and the seconds they take on one core; what isn't chosen yet may be the longest."""
    chosen = {(domain, name): _longest(plan) for domain in plan.grid.domains for name in plan.tuned}
    chosen |= plan.chosen(of_cells(plan.tuning, records))
    cells = [*plan.tuning, *plan.held_out(chosen)]
    done = of_cells(cells, records)
    left = [cell for cell in cells if cell.key not in done]
    expected = sum(cell_s(cell) for cell in cells if cell.key in done)
    taken = sum(sum(record["seconds"]) for record in done.values())
    correction = taken / expected if expected else 1.0
    return len(left), correction * (sum(map(cell_s, left)) + _data_s(left, records))


def _longest(plan: Plan) -> Setting:
    tuning = plan.grid.tuning
    assert tuning is not None  # only then are arms tuned
    return Setting(max(tuning.rates), max(tuning.lengths))


def _data_s(cells: Sequence[Cell], records: Records) -> float:
    """Of the seeds whose data no record tells of."""
    total = 0.0
    for group in by_seed(cells).values():
        plan = group[0].data
        for origin in {origin for cell in group if cell.trains for origin in origins_of(cell.arm)}:
            if records.get(data_key(plan, origin)) is None:
                total += DATA_TASK_S[origin] * plan.tasks
    return total
