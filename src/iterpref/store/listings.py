"""Pages of lists: which tasks or pairs a filter finds, and a line on each. Ids come from indexes, a page at a time.

In: a filter and a page. Out: ids in their order, how many there are, and rows to show.
Not here: records (store.py); what is counted over a whole run (overview.py).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from iterpref.records import PreferencePair, Task, Verdict

from .overview import Overview

PAGE = 50
UNDER_WAY, UNTRIED = "under way", "untried"
_VERDICTS = frozenset(get_args(Verdict))
_ERROR_TYPE = "json_extract({}.record, '$.error_type')"  # as in the index, to the letter


@dataclass(frozen=True)
class TaskFilter:
    """What tasks must have; "" and None: anything. All but `text` must hold of one trajectory of the task.

    `text` is part of the id. `status` is that of a trajectory, or `under way`, or `untried`; `failure` a verdict or the
    type of an exception that one of its programs met; `attempts` how many programs it has.
    """

    text: str = ""
    status: str = ""
    origin: str = ""
    failure: str = ""
    attempts: int | None = None


@dataclass(frozen=True)
class PairFilter:
    """What pairs must have. `only` and `without` are ids, for what the database doesn't know."""

    text: str = ""
    kept: bool | None = None
    failure: str = ""
    only: tuple[str, ...] | None = None
    without: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrajectoryLine:
    """A trajectory in a list: `failures` are the distinct ways in which its programs failed, in order."""

    trajectory_id: str
    task_id: str
    origin: str
    status: str
    attempts: int
    failures: tuple[str, ...]


Where = tuple[str, list[object]]


class Listings(Overview):
    """Lists of tasks and of pairs."""

    def kept_pair_ids(self) -> list[str]:
        """All ids of kept pairs, in their order."""
        return [row[0] for row in self._rows("SELECT pair_id FROM pairs WHERE kept = 1 ORDER BY pair_id")]

    def task_page(self, wanted: TaskFilter, page: int = 0) -> list[str]:
        """Ids of one page, in their order."""
        ids, values = _tasks_of(wanted)
        query = f"SELECT DISTINCT task_id FROM ({ids}) ORDER BY task_id LIMIT ? OFFSET ?"
        return [row[0] for row in self._rows(query, *values, PAGE, page * PAGE)]

    def task_page_and_count(self, wanted: TaskFilter, page: int = 0) -> tuple[list[str], int]:
        """Both at once: what a type of exception finds comes in no order, so that one page takes all of it anyway."""
        ids, values = _tasks_of(wanted)
        whole = f"SELECT DISTINCT task_id FROM ({ids})"
        query = f"SELECT task_id, count(*) OVER () FROM ({whole}) ORDER BY task_id LIMIT ? OFFSET ?"
        unordered = wanted.failure and wanted.failure not in _VERDICTS
        rows = list(self._rows(query, *values, PAGE, page * PAGE)) if unordered else []
        if rows:
            return [row[0] for row in rows], int(rows[0][1])
        found = self.task_page(wanted, page)
        if len(found) < PAGE and (found or not page):  # the last page tells how many there are
            return found, page * PAGE + len(found)
        return found, self.count_listed_tasks(wanted)

    def count_listed_tasks(self, wanted: TaskFilter) -> int:
        ids, values = _tasks_of(wanted)
        return int(self._one(f"SELECT count(DISTINCT task_id) FROM ({ids})", *values)[0])

    def tasks_of(self, ids: Sequence[str]) -> dict[str, Task]:
        """The tasks of these ids that there are."""
        query = "SELECT record FROM tasks WHERE task_id IN (SELECT value FROM json_each(?))"
        return {task.task_id: task for task in self._records(Task, query, json.dumps(list(ids)))}

    def trajectory_lines(self, task_ids: Sequence[str]) -> list[TrajectoryLine]:
        """All trajectories of these tasks, closed or under way, by id."""
        query = (
            "SELECT a.trajectory_id, a.task_id, a.iteration, a.verdict, "
            f"CASE a.verdict WHEN 'error' THEN {_ERROR_TYPE.format('e')} END, r.origin, r.status FROM attempts a "
            "LEFT JOIN executions e ON e.key = a.execution_key "
            "LEFT JOIN trajectories r ON r.trajectory_id = a.trajectory_id "
            "WHERE a.task_id IN (SELECT value FROM json_each(?)) ORDER BY a.trajectory_id, a.iteration"
        )
        found: dict[str, TrajectoryLine] = {}
        for name, task_id, _, verdict, error, origin, status in self._rows(query, json.dumps(list(task_ids))):
            line = found.get(name) or TrajectoryLine(name, task_id, origin or "", status or UNDER_WAY, 0, ())
            new = () if verdict == "passed" else (error or verdict,)
            failures = tuple(dict.fromkeys((*line.failures, *new)))
            found[name] = TrajectoryLine(name, task_id, line.origin, line.status, line.attempts + 1, failures)
        return list(found.values())

    def trajectory_line(self, trajectory_id: str) -> TrajectoryLine | None:
        row = self._one("SELECT task_id FROM attempts WHERE trajectory_id = ? LIMIT 1", trajectory_id)
        lines = self.trajectory_lines([row[0]]) if row else []
        return next((line for line in lines if line.trajectory_id == trajectory_id), None)

    def pairs_of_tasks(self, task_ids: Sequence[str]) -> dict[str, list[tuple[str, bool]]]:
        """Task → (id, kept) of its pairs."""
        query = (
            "SELECT task_id, pair_id, kept FROM pairs WHERE task_id IN (SELECT value FROM json_each(?)) "
            "ORDER BY task_id, pair_id"
        )
        found: dict[str, list[tuple[str, bool]]] = {}
        for task_id, pair_id, kept in self._rows(query, json.dumps(list(task_ids))):
            found.setdefault(task_id, []).append((pair_id, bool(kept)))
        return found

    def pair_page(self, wanted: PairFilter, page: int = 0) -> list[PreferencePair]:
        where, values = _pairs_where(wanted)
        ids = f"SELECT pair_id FROM pairs p WHERE {where} ORDER BY pair_id LIMIT ? OFFSET ?"
        query = f"SELECT record FROM pairs WHERE pair_id IN ({ids}) ORDER BY pair_id"
        return list(self._records(PreferencePair, query, *values, PAGE, page * PAGE))

    def count_listed_pairs(self, wanted: PairFilter) -> int:
        where, values = _pairs_where(wanted)
        return int(self._one(f"SELECT count(*) FROM pairs p WHERE {where}", *values)[0])

    def pair_neighbours(self, wanted: PairFilter, pair_id: str) -> tuple[str | None, str | None]:
        """The ids before and after one in a list; it need not be in it."""
        where, values = _pairs_where(wanted)
        rows = [
            self._one(f"SELECT {end}(pair_id) FROM pairs p WHERE pair_id {sign} ? AND {where}", pair_id, *values)
            for end, sign in (("max", "<"), ("min", ">"))
        ]
        before, after = (row[0] for row in rows)
        return before, after

    def task_neighbours(self, wanted: TaskFilter, task_id: str) -> tuple[str | None, str | None]:
        """The same of tasks."""
        ids, values = _tasks_of(wanted)
        query = f"SELECT min(task_id) FROM ({ids}) WHERE task_id > ?"
        reverse = f"SELECT max(task_id) FROM ({ids}) WHERE task_id < ?"
        before, after = (self._one(asked, *values, task_id)[0] for asked in (reverse, query))
        return before, after

    def solved_tasks(self, origin: str) -> dict[str, bool]:
        """Task → whether a closed trajectory of this origin passed, by id."""
        query = "SELECT task_id, max(status = 'passed') FROM trajectories WHERE origin = ? GROUP BY 1 ORDER BY 1"
        return {task_id: bool(passed) for task_id, passed in self._rows(query, origin)}

    def trajectory_failures(self) -> list[str]:
        """Every verdict and type of exception that programs of this run failed with."""
        verdicts = [row[0] for row in self._rows(
            "WITH RECURSIVE v(x) AS (SELECT min(verdict) FROM attempts UNION ALL "
            "SELECT (SELECT min(verdict) FROM attempts WHERE verdict > x) FROM v WHERE x IS NOT NULL) "
            "SELECT x FROM v WHERE x IS NOT NULL"
        )]  # fmt: skip
        error = _ERROR_TYPE.format("e")
        types = f"SELECT DISTINCT {error} FROM executions e WHERE e.verdict = 'error' AND {error} != ''"
        return [verdict for verdict in verdicts if verdict != "passed"] + sorted(row[0] for row in self._rows(types))

    def pair_failures(self) -> list[str]:
        """What the rejected programs of pairs failed with."""
        error = _ERROR_TYPE.format("p")
        rows = self._rows(f"SELECT DISTINCT {error} FROM pairs p WHERE {error} != ''")
        return sorted(row[0] for row in rows)


def _tasks_of(wanted: TaskFilter) -> Where:
    """A query for the ids of the tasks that a filter finds; one may come several times."""
    source, conditions, values = _source(wanted)
    if wanted.text:
        conditions.append("instr(lower(s.task_id), lower(?)) > 0")
        values.append(wanted.text)
    return f"SELECT s.task_id AS task_id FROM {source} WHERE {' AND '.join(conditions) or '1'}", values


def _source(wanted: TaskFilter) -> tuple[str, list[str], list[object]]:
    """What the ids are drawn from as `s`, and what must hold there."""
    if wanted.status == UNTRIED:
        return "tasks s", ["NOT EXISTS (SELECT 1 FROM attempts a WHERE a.task_id = s.task_id)"], []
    if wanted.status == UNDER_WAY:
        begun = "SELECT DISTINCT trajectory_id FROM attempts EXCEPT SELECT trajectory_id FROM trajectories"
        open_ = f"s.trajectory_id IN ({begun})"
        return "attempts s", [open_, *_failed(wanted)[0], *_made(wanted)[0]], [*_failed(wanted)[1], *_made(wanted)[1]]
    conditions, values = _of_trajectory(wanted, "s" if not wanted.failure else "r")
    if not wanted.failure:
        if not conditions and wanted.attempts is None:
            return "tasks s", [], []
        made, more = _made(wanted)
        return "trajectories s", [*conditions, *made], [*values, *more]
    failed, of_failure = _failed(wanted)
    made, more = _made(wanted)
    if conditions:
        same = "r.task_id = s.task_id AND r.trajectory_id = s.trajectory_id"
        failed.append(f"EXISTS (SELECT 1 FROM trajectories r WHERE {' AND '.join([same, *conditions])})")
    return "attempts s", [*failed, *made], [*of_failure, *values, *more]


def _of_trajectory(wanted: TaskFilter, name: str) -> tuple[list[str], list[object]]:
    asked = {"origin": wanted.origin, "status": wanted.status}
    return [f"{name}.{key} = ?" for key, value in asked.items() if value], [value for value in asked.values() if value]


def _failed(wanted: TaskFilter) -> tuple[list[str], list[object]]:
    """By a verdict, or by the type of an exception, for which there are other indexes."""
    if not wanted.failure:
        return [], []
    if wanted.failure in _VERDICTS:
        return ["s.verdict = ?"], [wanted.failure]
    keys = f"SELECT e.key FROM executions e WHERE e.verdict = 'error' AND {_ERROR_TYPE.format('e')} = ?"
    return [f"s.execution_key IN ({keys})"], [wanted.failure]


def _made(wanted: TaskFilter) -> tuple[list[str], list[object]]:
    """How many attempts a trajectory has: there is one of this number, and none after it."""
    if wanted.attempts is None:
        return [], []
    one = "EXISTS (SELECT 1 FROM attempts x WHERE x.trajectory_id = s.trajectory_id AND x.iteration = ?)"
    return [one, f"NOT {one}"], [wanted.attempts - 1, wanted.attempts]


def _pairs_where(wanted: PairFilter) -> Where:
    conditions: list[str] = []
    values: list[object] = []
    if wanted.kept is not None:
        conditions, values = [*conditions, "p.kept = ?"], [*values, int(wanted.kept)]
    if wanted.failure:
        conditions, values = [*conditions, f"{_ERROR_TYPE.format('p')} = ?"], [*values, wanted.failure]
    if wanted.text:
        conditions, values = [*conditions, "instr(lower(p.pair_id), lower(?)) > 0"], [*values, wanted.text]
    if wanted.only is not None:
        conditions.append("p.pair_id IN (SELECT value FROM json_each(?))")
        values.append(json.dumps(wanted.only))
    if wanted.without:
        conditions.append("p.pair_id NOT IN (SELECT value FROM json_each(?))")
        values.append(json.dumps(wanted.without))
    return " AND ".join(conditions) or "1", values
