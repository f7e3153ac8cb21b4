"""How long what is left will take: by rough costs of one core, corrected by the cells that were run here."""

from collections.abc import Sequence

from .cells import Cell
from .domains import DOMAINS
from .making import TAUGHT
from .plan import Plan
from .records import Records
from .run import by_seed, data_key, of_cells
from .seeds import parts_of
from .trainer_table import TRAINERS
from .training import DEBUG_TASK_S
from .tuning import Setting

# Seconds of one core, by trials with the shipped coder (docs/results.md, Cost).
START_S, TASK_S = 3.0, 0.014  # of a cell; per task scored
DATA_TASK_S = {"debugging": DEBUG_TASK_S, "sampling": 0.065, "diagnosed": 0.03}  # per training task


def cell_s(cell: Cell) -> float:
    trained = TRAINERS[cell.arm.trainer].seconds(cell.arm, cell.length, cell.data.tasks)
    return START_S + DOMAINS[cell.data.domain].cost * (TASK_S * cell.tasks + cell.more_s + trained)


def seconds_left(plan: Plan, records: Records, counted: set[str]) -> tuple[int, float]:
    """Cells that are left, and the seconds they take on one core; what isn't chosen yet may be the longest.

    Cells, and data of seeds, that are in `counted` are those of another grid; it gets those of this one.
    """
    chosen = {(domain, name): max(plan.tried(name), key=_length) for domain in plan.grid.domains for name in plan.tuned}
    chosen |= plan.chosen(of_cells(plan.tuning, records))
    cells = [*plan.tuning, *plan.held_out(chosen)]
    done = of_cells(cells, records)
    left = [cell for cell in cells if cell.key not in done and cell.key not in counted]
    counted |= {cell.key for cell in left}
    expected = sum(cell_s(cell) for cell in cells if cell.key in done)
    taken = sum(sum(record["seconds"]) for record in done.values())
    correction = taken / expected if expected else 1.0
    return len(left), correction * (sum(map(cell_s, left)) + _data_s(left, records, counted))


def _length(setting: Setting) -> float:
    return setting.length


def _data_s(cells: Sequence[Cell], records: Records, counted: set[str]) -> float:
    """Of the seeds whose data no record tells of, and that are not counted yet."""
    total = 0.0
    for group in by_seed(cells).values():
        plan = group[0].data
        for part in parts_of(*(cell.arm for cell in group if cell.trains)):
            key = data_key(plan, part)
            if records.get(key) is None and key not in counted:
                counted.add(key)
                kind = "debugging" if part.startswith(TAUGHT) else part
                total += DOMAINS[plan.domain].cost * DATA_TASK_S[kind] * plan.tasks
    return total
