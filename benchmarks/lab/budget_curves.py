"""Debugging against independent draws: tasks solved and pairs made, over all calls and over all tokens.

    python -m benchmarks.lab.budget_curves methods objects [--work DIR] [--publish]

Reads the trajectories of the grids' seeds; a seed leaves a record of a kilobyte, beside those of cells, so that
tables can be made again without its run folder. Nothing is generated or trained here. `draws` are independent programs
until one passes, as whoever wants a task solved would make them; `all draws` are all that may be made, as pairs of
passing × failing draws take them. Tokens are those of prompts and of answers: a repair's prompt holds the program that
failed, and what its tests said.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from iterpref.clients import Completion
from iterpref.errors import IterPrefError
from iterpref.pairing import PARQUET
from iterpref.records import Attempt, Trajectory, fingerprint
from iterpref.store import Store

from . import budget_tables
from .checks import load_grid
from .domains import BASES
from .grid import Arm
from .plan import Plan
from .records import Record, Records
from .run import data_key
from .seeds import SeedData, SeedPlan

VERSION = 1  # of what a record holds
WAYS = {"debugging": Arm(), "sampling": Arm(pairs="sampling")}


def record_of(plan: SeedPlan, records: Records, work: Path) -> Record | None:
    """A seed's curves: from its trajectories, else from its record; None where there is neither."""
    key, data = fingerprint([VERSION, "curves", plan.what]), SeedData(plan, work)
    known = records.get(key)
    hashes = {way: made["made"]["hash"] for way in WAYS if (made := records.get(data_key(plan, way))) is not None}
    if known is not None and (known["hashes"] == hashes or not hashes):
        return known
    if len(hashes) < len(WAYS) or not data.folder.is_dir():
        return None
    record = {"key": key, "base": plan.base, "what": plan.what_of("curves"), "hashes": hashes, **_curves(data)}
    records.put(record)
    return record


def _curves(data: SeedData) -> Record:
    """Cumulative counts after 0, 1, … repairs or further draws, over all tasks of the seed."""
    with data.read("debugging") as store:
        ways = {way: {t.task_id: t for t in store.trajectories(way)} for way in WAYS}
        last = data.plan.config.debugging.max_iterations
        alike = sorted(ways["debugging"].keys() & ways["sampling"].keys())  # a broken tool may have cost one of them
        debugged, drawn = ([ways[way][task] for task in alike] for way in WAYS)
        tokens = _Tokens(store)
        curves = {
            "debugging": _spent(map(until_passed, debugged), tokens, last) | {"solved": _solved(debugged, last)},
            "draws": _spent(map(until_passed, drawn), tokens, last) | {"solved": _solved(drawn, last)},
            "all draws": _spent((t.attempts for t in drawn), tokens, last),
        }
    for name, way in (("debugging", "debugging"), ("all draws", "sampling")):
        pairs = pq.read_table(data.pairs(WAYS[way]) / PARQUET, columns=["chosen_iteration", "rejected_iteration"])
        curves[name]["pairs"] = _cumulative([max(pair.values()) for pair in pairs.to_pylist()], last)
    unsolved = {
        "by debugging": _rest(drawn, debugged, last),
        "by draws": _rest(debugged, drawn, last),
    }
    return {"tasks": len(alike), "curves": curves, "unsolved": unsolved}


class _Tokens:
    """Tokens of the call behind an attempt."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def of(self, attempt: Attempt) -> int:
        call = self._store.call(attempt.call_id, Completion)
        return call.prompt_tokens + call.completion_tokens if call else 0


def until_passed(trajectory: Trajectory) -> Sequence[Attempt]:
    """The attempts up to the first that passes; all where none does."""
    attempts = trajectory.attempts
    first = next((number for number, attempt in enumerate(attempts, 1) if attempt.execution.passed), len(attempts))
    return attempts[:first]


def _spent(made: Iterator[Sequence[Attempt]], tokens: _Tokens, last: int) -> dict[str, list[int]]:
    calls, all_tokens = [0] * (last + 1), [0] * (last + 1)
    for attempts in made:
        for attempt in attempts:
            calls[attempt.iteration] += 1
            all_tokens[attempt.iteration] += tokens.of(attempt)
    return {"calls": _summed(calls), "tokens": _summed(all_tokens)}


def _solved(trajectories: Sequence[Trajectory], last: int) -> list[int]:
    return _cumulative([solved for t in trajectories if (solved := _solved_at(t)) is not None], last)


def _solved_at(trajectory: Trajectory) -> int | None:
    return next((attempt.iteration for attempt in trajectory.attempts if attempt.execution.passed), None)


def _rest(trajectories: Sequence[Trajectory], others: Sequence[Trajectory], last: int) -> dict[str, Any]:
    """Of the tasks that the others leave unsolved: how many, and how many of them are solved here."""
    left = [t for t, other in zip(trajectories, others, strict=True) if _solved_at(other) is None]
    return {"tasks": len(left), "solved": _solved(left, last)}


def _cumulative(iterations: Sequence[int], last: int) -> list[int]:
    return [sum(iteration <= number for iteration in iterations) for number in range(last + 1)]


def _summed(counts: Sequence[int]) -> list[int]:
    return [sum(counts[: number + 1]) for number in range(len(counts))]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lab.budget_curves", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("grids", nargs="+", metavar="GRID", help="YAML file, or a name in benchmarks/lab/grids.")
    parser.add_argument("--work", type=Path, default=Path("../lab-work"), help="Folder for records and runs.")
    parser.add_argument("--bases", type=Path, default=BASES, help="Folder of base models; default: %(default)s.")
    parser.add_argument("--from-published", action="store_true", help="Begin with the published records.")
    parser.add_argument("--publish", action="store_true", help="Write tables and plots into docs/, records into data.")
    asked = parser.parse_args()
    try:
        sys.exit(sum([_of_grid(name, asked) for name in asked.grids]))
    except IterPrefError as error:
        sys.exit(f"error: {error}")


def _of_grid(name: str, asked: argparse.Namespace) -> int:
    """Print and write what there is of a grid; 1 where a seed is missing."""
    plan, work = Plan.of(load_grid(name), asked.bases), asked.work.resolve()
    records = Records(work)
    if asked.from_published:
        print(f"{records.take()} published records taken")
    seeds = plan.test_seeds
    found = [record for seed in seeds if (record := record_of(seed, records, work)) is not None]
    budget_tables.write(plan.grid.name, found, work)
    if asked.publish:
        budget_tables.publish(plan.grid.name, found)
    missing = len(seeds) - len(found)
    if missing:
        print(f"{missing} of {len(seeds)} seeds have no trajectories of both ways here; run the grid, for {name} needs "
              "an arm with pairs of sampling")  # fmt: skip
    return int(missing > 0)


if __name__ == "__main__":
    main()
