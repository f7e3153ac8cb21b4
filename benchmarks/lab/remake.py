"""One cell anew, from nothing, beside its record: do the same settings give the same result?"""

import tempfile
from collections.abc import Callable
from pathlib import Path

from iterpref.errors import ConfigError

from .cells import Cell
from .plan import Plan
from .records import Record, Records, finished
from .run import of_cells, run_cells


def remake(plan: Plan, records: Records, which: str, work: Path, say: Callable[[str], None]) -> int:
    """Run the cell `ARM@SEED` of each domain in a folder of its own; 1 unless all have the outcomes of their records.

    Raises:
        ConfigError: The grid has no such cell, or it has no record to compare with.
    """
    cells = _named(plan, records, which)
    with tempfile.TemporaryDirectory(dir=work, prefix="remake-") as folder:
        anew = Path(folder)
        run_cells(cells, anew, 1, say)
        return int(any([_differs(cell, records.get(cell.key), Records(anew).get(cell.key), say) for cell in cells]))


def _named(plan: Plan, records: Records, which: str) -> list[Cell]:
    held_out = plan.held_out(plan.chosen(of_cells(plan.tuning, records)))
    cells = [cell for cell in held_out if f"{cell.name}@{cell.data.seed}" == which]
    if not cells:
        there = ", ".join(dict.fromkeys(f"{cell.name}@{cell.data.seed}" for cell in held_out[:6]))
        raise ConfigError(f"--remake {which}: grid {plan.grid.name} has no such cell; it has {there}, …")
    for cell in cells:
        if not finished(records.get(cell.key)):
            raise ConfigError(f"--remake {which}: {cell.says} has no record to compare with; run the grid first, or "
                              "give --from-published")  # fmt: skip
    return cells


def _differs(cell: Cell, before: Record | None, after: Record | None, say: Callable[[str], None]) -> bool:
    if before is None or after is None or not finished(after):
        say(f"{cell.says}: could not be made: {(after or {}).get('error', 'no record')}")
        return True
    tasks = sum(a != b for a, b in zip(before["outcomes"], after["outcomes"], strict=True))
    same = "the same trajectories" if before.get("trajectories") == after.get("trajectories") else "other trajectories"
    say(f"{cell.says}: {100 * before['passed']:.1f} then, {100 * after['passed']:.1f} now; {same}; "
        f"{tasks} of {cell.tasks} tasks have another outcome")  # fmt: skip
    return tasks > 0
