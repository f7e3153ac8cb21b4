"""A whole run in numbers that are cheap at a hundred thousand tasks: counted from indexes.

Not here: what needs the records themselves, such as kinds of failure (`analysis`).
"""

from typing import NamedTuple

from .counts import Counts


class OriginCounts(NamedTuple):
    """Closed trajectories of one origin: how they ended, and how many passed first at each iteration."""

    origin: str
    statuses: dict[str, int]
    passed_at: dict[int, int]

    @property
    def judged(self) -> int:
        """Those that say something about the model: tools failed in none."""
        return sum(count for status, count in self.statuses.items() if status != "failed_tools")

    @property
    def pass_rates(self) -> list[float]:
        """Share of `judged` that passed within 0, 1, … repairs (or further draws); [] without any."""
        if not self.judged:
            return []
        last = max(self.passed_at, default=0)
        return [sum(n for i, n in self.passed_at.items() if i <= step) / self.judged for step in range(last + 1)]


class Overview(Counts):
    """Counts over all of a run."""

    def origins(self) -> list[OriginCounts]:
        """Each origin that has closed trajectories."""
        statuses: dict[str, dict[str, int]] = {}
        for origin, status, count in self._rows("SELECT origin, status, count(*) FROM trajectories GROUP BY 1, 2"):
            statuses.setdefault(origin, {})[status] = count
        query = (
            "SELECT origin, first, count(*) FROM (SELECT r.origin, min(a.iteration) AS first FROM attempts a "
            "JOIN trajectories r ON r.task_id = a.task_id AND r.trajectory_id = a.trajectory_id "
            "WHERE a.verdict = 'passed' AND r.status != 'failed_tools' GROUP BY a.task_id, a.trajectory_id) "
            "GROUP BY 1, 2"
        )
        passed: dict[str, dict[int, int]] = {}
        for origin, first, count in self._rows(query):
            passed.setdefault(origin, {})[first] = count
        return [OriginCounts(origin, found, passed.get(origin, {})) for origin, found in sorted(statuses.items())]

    def count_repaired(self) -> int:
        """Trajectories, sampling left out, whose first program did not pass and a later one did."""
        query = (
            "SELECT count(*) FROM trajectories r WHERE r.status = 'passed' AND r.origin != 'sampling' AND NOT EXISTS "
            "(SELECT 1 FROM attempts a WHERE a.verdict = 'passed' AND a.task_id = r.task_id "
            "AND a.trajectory_id = r.trajectory_id AND a.iteration = 0)"
        )
        return int(self._one(query)[0])
