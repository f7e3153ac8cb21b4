"""From schema 2 to 3: what earlier versions measured wrongly about tests counts as not measured, until `iterpref
validate` measures it again.

They took a script for its own stub, missed the lines that stdio cases, call tables and pytest's fixtures and parameters
run, and gave references that never pass a mutation score of 1. In: a connection. Out: every stored quality without
these figures. Knows the rows of schema 2 by itself.
"""

import json
import sqlite3
from typing import Any

_WHY = "measured by an earlier version; run iterpref validate"


def forget_wrong_figures(connection: sqlite3.Connection) -> None:
    """Mark each quality of a passing program as to be measured again."""
    query = "SELECT task_id, program_hash, record FROM qualities"
    for task_id, program_hash, packed in connection.execute(query).fetchall():
        record: dict[str, Any] = json.loads(packed)
        if record.get("failing"):
            continue
        record |= {"passing_stubs": [], "line_coverage": None, "branch_coverage": None, "stale": True}
        forgotten = ["passing_stubs", "line_coverage", "branch_coverage"]
        if not record["repeats_passed"]:
            record |= {"mutants": 0, "mutants_killed": 0, "surviving": []}
            forgotten.append("mutation_score")
        record["unmeasured"] = dict.fromkeys(forgotten, _WHY)
        values = (json.dumps(record), task_id, program_hash)
        connection.execute("UPDATE qualities SET record = ? WHERE task_id = ? AND program_hash = ?", values)
