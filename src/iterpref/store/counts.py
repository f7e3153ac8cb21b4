"""How much a run holds, in words: for funnels, estimates and progress. Nothing is unpacked.

Not here: the records themselves (store.py), what calls cost (calls.py).
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from .tables import Tables

Counted = Literal[
    "tasks", "calls", "dead_letters", "executions", "trajectories", "imported_pairs", "pairs", "results", "texts"
]


class FinishedTask(NamedTuple):
    """A closed trajectory, without its texts; `attempts` is their number."""

    trajectory_id: str
    task_id: str
    passed: bool
    client: str
    attempts: int


class Counts(Tables):
    """Numbers of rows."""

    def count(self, table: Counted) -> int:
        """All rows of a table; trajectories are counted when they are closed."""
        return self._count(table)

    def count_work(self) -> int:
        """What a command that fails leaves behind: tasks, calls, attempts, pairs and results."""
        tables = ("tasks", "calls", "dead_letters", "attempts", "imported_pairs", "pairs", "qualities", "results")
        return sum(self._count(table) for table in tables)

    def count_tasks(self, split: str | None = None, *, prefix: str = "") -> int:
        """Tasks of one split (None: of all); with `prefix` only those whose id begins so."""
        where, values = ("AND split = ?", (split,)) if split is not None else ("", ())
        return self._count(f"tasks WHERE substr(task_id, 1, ?) = ? {where}", len(prefix), prefix, *values)

    def count_solved(self) -> int:
        """Tasks that some trajectory passed."""
        return self._count("tasks WHERE task_id IN (SELECT task_id FROM trajectories WHERE status = 'passed')")

    def count_kept_pairs(self) -> int:
        """Pairs that no filter dropped."""
        return self._count("pairs WHERE kept = 1")

    def count_calls(self, client: str) -> int:
        """Answered calls of one client."""
        return self._count("calls WHERE client = ?", client)

    def count_finished(self, origin: str) -> int:
        """Closed trajectories of an origin whose tools did not fail."""
        return self._count("trajectories WHERE origin = ? AND status != 'failed_tools'", origin)

    def count_unfinished(self) -> int:
        """Trajectories that are begun and not closed."""
        begun = "(SELECT DISTINCT trajectory_id FROM attempts EXCEPT SELECT trajectory_id FROM trajectories)"
        return self._count(begun)

    def drafts(self, split: str | None) -> dict[str, bool]:
        """Ids of tasks that came with a program → whether it fails, which those without a reference do."""
        where, values = ("AND split = ?", (split,)) if split is not None else ("", ())
        return {
            task: bool(failing)
            for task, failing in self._rows(
                "SELECT task_id, json_extract(record, '$.reference') IS NULL FROM tasks "
                f"WHERE json_extract(record, '$.draft') IS NOT NULL {where}",
                *values,
            )
        }

    def finished(self, origin: str, split: str | None) -> Iterator[FinishedTask]:
        """The closed trajectories of an origin whose tools did not fail."""
        where, values = ("AND k.split = ?", (split,)) if split is not None else ("", ())
        rows = self._rows(
            "SELECT t.trajectory_id, t.task_id, t.status = 'passed', json_extract(t.record, '$.client'), "
            "(SELECT count(*) FROM attempts a WHERE a.trajectory_id = t.trajectory_id) FROM trajectories t "
            f"JOIN tasks k USING (task_id) WHERE t.origin = ? AND t.status != 'failed_tools' {where}",
            origin,
            *values,
        )
        return (
            FinishedTask(name, task, bool(passed), client, attempts) for name, task, passed, client, attempts in rows
        )

    def count_attempts(self, iteration: int) -> int:
        """Attempts at one iteration, of closed and open trajectories."""
        return self._count("attempts WHERE iteration = ?", iteration)

    def trajectories_by_origin(self) -> dict[str, int]:
        """Origin → closed trajectories; origins without any are not in it."""
        return dict(self._rows("SELECT origin, count(*) FROM trajectories GROUP BY origin ORDER BY origin"))

    def benchmarks(self) -> set[str]:
        """Names of the benchmarks that there are Results on."""
        return {name for (name,) in self._rows("SELECT DISTINCT benchmark FROM results")}

    def _count(self, rows: str, *values: object) -> int:
        return int(self._one(f"SELECT count(*) FROM {rows}", *values)[0])
